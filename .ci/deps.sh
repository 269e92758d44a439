#!/bin/bash
# Gets what vouchfs needs to be built and tested: `deps.sh GROUP...`, the
# groups being build, demo, check, foreign, bench, lint and fuzz.  Called by `make`, for you.
#
#  1. Only packages of the system's own Debian release are installed, and
#     nothing that is installed already is upgraded: every installed version
#     is pinned while apt decides.
#  2. What the release does not have is made privately below build/deps, as
#     static libraries: libfuse >= 3.17 from Debian 13's source package, BLAKE3
#     from the C files that Debian ships inside librust-blake3-dev.  apt
#     fetches and authenticates both, from the mirror the system itself uses.
#  3. Root is asked for only when a package has to be installed.
#  4. Run again, it only looks, and takes a fraction of a second.  Two runs at
#     once wait for each other.
set -u
cd "$(dirname "$0")/.." || exit 1

deps=$PWD/build/deps
work=$deps/work
fuse_min=3.17
fuse_suite=trixie		# where libfuse comes from, if not from here
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
export PKG_CONFIG_PATH="$deps/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

say() { printf 'deps: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# group  how to see that it is there  package
table='
build cmd:gcc                gcc
build file:/usr/include/stdio.h libc6-dev
build cmd:make               make
build cmd:pkg-config         pkg-config
build pc:libsodium           libsodium-dev
build pc:libzstd             libzstd-dev
build pc:sqlite3             libsqlite3-dev
build pc:libxxhash           libxxhash-dev
build pc:libcrypto           libssl-dev
build pc:libgit2             libgit2-dev
build cmd:fusermount3        fuse3
demo  cmd:git                git
demo  cmd:python3            python3
check cmd:git                git
check cmd:python3            python3
check pc:criterion           libcriterion-dev
check cmd:setfattr           attr
check cmd:setfacl            acl
check cmd:rsync              rsync
check cmd:sqlite3            sqlite3
check cmd:jq                 jq
check cmd:ps                 procps
check cmd:groff              groff-base
check cmd:ssh-keygen         openssh-client
check cmd:openssl            openssl
check cmd:bwrap              bubblewrap
check cmd:go                 golang-go
check go:golang.org/x/mod    golang-golang-x-mod-dev
bench cmd:gocryptfs          gocryptfs
foreign py:ensurepip         python3-venv
lint  cmd:clang              clang
lint  cmd:clang-format-14    clang-format-14
lint  cmd:groff              groff-base
fuzz  cmd:clang              clang
fuzz  rt:fuzzer              libclang-rt-dev
'

have() {
	case $1 in
	cmd:*) command -v "${1#cmd:}" >/dev/null ||
		[ -x "/usr/sbin/${1#cmd:}" ] ;;
	file:*) [ -e "${1#file:}" ] ;;
	pc:*) command -v pkg-config >/dev/null &&
		pkg-config --exists "${1#pc:}" ;;
	go:*) [ -d "/usr/share/gocode/src/${1#go:}" ] ;;
	py:*) python3 -c "import ${1#py:}" 2>/dev/null ;;
	rt:*) compgen -G "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.${1#rt:}-*.a" \
		>/dev/null ;;
	esac
}

missing() {	# GROUP...: the packages to install, each once
	local group probe package
	while read -r group probe package; do
		[[ " $* " == *" $group "* ]] || continue
		have "$probe" || echo "$package"
	done <<<"$table" | sort -u
}

# --- apt, for packages of this release ------------------------------------

release() { (. /etc/os-release && echo "${VERSION_CODENAME:-}"); }

# Preferences that keep every installed source package at its version, and
# take anything new from this release alone.
pins() {
	local suite
	for suite in "$(release)" "$(release)-security" "$(release)-updates"; do
		printf 'Package: *\nPin: release o=Debian, n=%s\n' "$suite"
		printf 'Pin-Priority: 990\n\n'
	done
	dpkg-query -W -f '${db:Status-Abbrev} ${source:Package} ${Version}\n' |
		awk '$1 ~ /^.i/ && !seen[$0]++ {
			printf "Package: src:%s\nPin: version %s\n", $2, $3
			printf "Pin-Priority: 1001\n\n" }'
}

candidate() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	fi
}

can_be_root() {
	[ "$(id -u)" = 0 ] && return
	command -v sudo >/dev/null || return
	sudo -n true 2>/dev/null || { [ -t 0 ] && [ -t 2 ]; }
}

update() {
	[ -z "${updated:-}" ] || return 0
	updated=1
	say "reading the package lists (apt-get update)"
	as_root apt-get -q -o DPkg::Lock::Timeout=300 update >&2
	return 0	# one broken third-party source is not our failure
}

simulate() {
	apt-get "${apt_opts[@]}" -s install "$@" 2>&1
}

install_packages() {	# PACKAGE...
	local wanted="$*" package plan ready
	command -v apt-get >/dev/null ||
		die "this is no Debian; please install the equivalents of: $wanted"
	can_be_root ||
		die "root is needed to install: $wanted" $'\n'"deps: please run" \
			"as root: apt-get install --no-install-recommends $wanted"
	for package; do
		candidate "$package" || update
	done
	ready=()
	for package; do
		if candidate "$package"; then
			ready+=("$package")
		elif [[ " $optional " == *" $package "* ]]; then
			say "$package is not in this release; its tests are skipped"
		else
			die "no apt source of this system has $package (no network?)"
		fi
	done
	[ ${#ready[@]} -gt 0 ] || return 0
	mkdir -p "$work/none" || exit 1
	pins >"$work/pins"
	apt_opts=(-q -y --no-install-recommends --no-remove
		-o Dir::Etc::Preferences="$work/pins"
		-o Dir::Etc::PreferencesParts="$work/none"
		-o DPkg::Lock::Timeout=300)
	plan=$(simulate "${ready[@]}") || { update; plan=$(simulate "${ready[@]}"); } || {
		printf '%s\n' "$plan" >&2
		die "these cannot be installed without changing what is installed:" \
			"${ready[*]}" $'\n'"deps: vouchfs upgrades nothing of a system;" \
			"please do it yourself: apt-get update && apt-get install ${ready[*]}"
	}
	if grep -q '^Inst [^ ]* \[' <<<"$plan"; then
		grep '^Inst [^ ]* \[' <<<"$plan" >&2
		die "installing ${ready[*]} would upgrade the packages above;" \
			"please do that yourself first"
	fi
	say "installing ${ready[*]}"
	as_root apt-get "${apt_opts[@]}" install "${ready[@]}" >&2 && return
	update
	as_root apt-get "${apt_opts[@]}" install "${ready[@]}" >&2 ||
		die "apt-get could not install: ${ready[*]} (no network?)"
}

# --- a private apt, for what this release lacks ----------------------------

# The addresses of the mirrors that this system takes Debian from.
mirrors() {	# apt options
	apt-get "$@" indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 2>/dev/null |
		awk -v r="$(release)" '$3 == "main" && !seen[$1]++ &&
			($2 == r || $2 ~ /^(old)*stable$/) { print $1 }'
}

# apt tells them only once it has read lists; where the system has none (an
# image with emptied lists), they are read into a place of our own.
mirrors_found() {
	local own=(-q -o Dir::State="$work/system" -o Dir::Cache="$work/cache"
		-o APT::Sandbox::User=root)
	mirrors | grep . && return
	mkdir -p "$work/system/lists/partial" "$work/cache/archives/partial"
	say "reading the lists of this release, to learn its mirror"
	apt-get "${own[@]}" update >&2
	mirrors "${own[@]}"
}

private_apt() {	# apt command and arguments
	local command=$1
	shift
	"$command" -q -o Dir::State="$work/state" -o Dir::Cache="$work/cache" \
		-o Dir::State::status="$work/status" \
		-o Dir::Etc::SourceList="$work/sources.list" \
		-o Dir::Etc::SourceParts="$work/none" \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts="$work/none" \
		-o Dir::Etc::TrustedParts="$work/none" -o Dir::Etc::Trusted="$keyring" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o APT::Get::AllowUnauthenticated=false "$@"
}

private_lists() {	# makes the private package lists of Debian $fuse_suite
	local mirror
	[ ! -e "$work/listed" ] || return 0
	[ -r "$keyring" ] || die "$keyring is missing (package debian-archive-keyring)"
	mkdir -p "$work"/{none,state/lists/partial,cache/archives/partial} || exit 1
	: >"$work/status"
	for mirror in $(mirrors_found); do
		printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$fuse_suite" \
			>"$work/sources.list"
		sed 's/^deb/deb-src/' "$work/sources.list" >>"$work/sources.list.src"
		cat "$work/sources.list.src" >>"$work/sources.list"
		rm "$work/sources.list.src"
		say "reading the lists of Debian $fuse_suite, for building privately"
		if private_apt apt-get -o APT::Update::Error-Mode=any update >&2; then
			touch "$work/listed"
			return
		fi
	done
	die "the mirror of this system's apt configuration does not give Debian" \
		"$fuse_suite (no network?), and libfuse and BLAKE3 have to come from there"
}

write_pc() {	# NAME VERSION CFLAGS LIBS
	mkdir -p "$deps/lib/pkgconfig"
	cat >"$deps/lib/pkgconfig/$1.pc" <<-END
	prefix=\${pcfiledir}/../..
	Name: $1
	Description: private copy for vouchfs
	Version: $2
	Cflags: $3
	Libs: $4
	END
}

build_fuse() {
	local src version
	# Tools only: they go in as packages of this release.
	local tools=() pair
	for pair in meson:meson ninja:ninja-build patch:patch xz:xz-utils gcc:gcc; do
		have "cmd:${pair%%:*}" || tools+=("${pair#*:}")
	done
	[ ${#tools[@]} -eq 0 ] || install_packages "${tools[@]}"
	private_lists
	rm -rf "$work/fuse" && mkdir -p "$work/fuse" && cd "$work/fuse" || exit 1
	private_apt apt-get source --download-only fuse3 >&2 ||
		die "libfuse's source package could not be fetched (no network?)"
	tar xf fuse3_*.orig.tar.gz && tar xf fuse3_*.debian.tar.* ||
		die "libfuse's source package does not unpack"
	src=$(echo fuse-*/)
	version=${src#fuse-}
	version=${version%/}
	say "building libfuse $version as a private static library"
	{
		cd "$src" &&
		while read -r patch _; do
			[[ -z $patch || $patch == \#* ]] ||
				patch -sp1 <"../debian/patches/$patch" || exit 1
		done <../debian/patches/series &&
		meson setup ../out --prefix=/usr --sysconfdir=/etc --libdir=lib \
			--buildtype=debugoptimized --default-library=static \
			-Dc_args=-fPIC -Dexamples=false -Dutils=false -Dtests=false \
			-Duseroot=false &&
		ninja -C ../out
	} >"$work/fuse.log" 2>&1 || {
		tail -n 20 "$work/fuse.log" >&2
		die "libfuse did not build; the whole story is in $work/fuse.log"
	}
	cd "$work/fuse" || exit 1
	mkdir -p "$deps/include/fuse3" "$deps/lib"
	cp "$src"/include/fuse{,_common,_log,_lowlevel,_opt}.h out/libfuse_config.h \
		"$deps/include/fuse3/" || die "libfuse's headers are not where they were"
	cp out/lib/libfuse3.a "$deps/lib/" || die "libfuse3.a was not built"
	write_pc fuse3 "$version" '-I${prefix}/include/fuse3' \
		'${prefix}/lib/libfuse3.a -pthread -ldl'
	cd "$OLDPWD" || exit 1
}

build_blake3() {
	local c version objects=() name flags
	private_lists
	mkdir -p "$work/blake3" "$deps/include" "$deps/lib" && cd "$work/blake3" ||
		exit 1
	private_apt apt-get download librust-blake3-dev >&2 &&
		dpkg -x librust-blake3-dev_*.deb . ||
		die "librust-blake3-dev could not be fetched (no network?)"
	c=$(echo usr/share/cargo/registry/blake3-*/c)
	[ -f "$c/blake3.c" ] || die "librust-blake3-dev has no C files any more"
	version=${c#*/blake3-}
	version=${version%/c}
	say "building BLAKE3 $version as a private static library"
	names='blake3 blake3_dispatch blake3_portable' flags=
	case $(gcc -dumpmachine) in
	x86_64-*) names+=' blake3_sse2_x86-64_unix blake3_sse41_x86-64_unix
		blake3_avx2_x86-64_unix blake3_avx512_x86-64_unix' ;;
	aarch64-*) names+=' blake3_neon' flags=-DBLAKE3_USE_NEON=1 ;;
	*) flags='-DBLAKE3_USE_NEON=0 -DBLAKE3_NO_SSE2 -DBLAKE3_NO_SSE41
		-DBLAKE3_NO_AVX2 -DBLAKE3_NO_AVX512' ;;
	esac
	for name in $names; do
		[ -e "$c/$name.c" ] && name+=.c || name+=.S
		# shellcheck disable=SC2086
		gcc -O3 -g -fPIC -fstack-protector-strong $flags -c "$c/$name" \
			-o "${name%.*}.o" || die "BLAKE3 did not build"
		objects+=("${name%.*}.o")
	done
	rm -f "$deps/lib/libblake3.a"
	ar rcs "$deps/lib/libblake3.a" "${objects[@]}" &&
		cp "$c/blake3.h" "$deps/include/" || exit 1
	write_pc libblake3 "$version" '-I${prefix}/include' \
		'${prefix}/lib/libblake3.a'
	cd "$OLDPWD" || exit 1
}

get_private() {
	if ! pkg-config --exists "fuse3 >= $fuse_min"; then
		if newer_here libfuse3-dev "$fuse_min"; then
			install_packages libfuse3-dev
		else
			build_fuse
		fi
	fi
	if ! pkg-config --exists libblake3; then
		if newer_here libblake3-dev 1; then
			install_packages libblake3-dev
		else
			build_blake3
		fi
	fi
}

newer_here() {	# PACKAGE VERSION: does this release offer it?
	local version
	version=$(apt-cache policy "$1" | awk '$1 == "Candidate:" { print $2 }')
	[ -n "$version" ] && [ "$version" != '(none)' ] &&
		dpkg --compare-versions "$version" ge "$2"
}

# Libraries that tests/foreign/statement.sh shows our statements to, in a place
# of their own; from wherever pip is configured to take them.
get_python() {
	local wanted=tests/foreign/statement/requirements.txt own=$deps/python
	! cmp -s $wanted "$own/requirements.txt" || return 0
	rm -rf "$own"
	say "getting the Python packages of $wanted"
	python3 -m venv "$own" >"$work/python.log" 2>&1 &&
		"$own/bin/pip" install -q --disable-pip-version-check --no-deps \
			-r $wanted >>"$work/python.log" 2>&1 &&
		"$own/bin/pip" check >>"$work/python.log" 2>&1 &&
		cp $wanted "$own/requirements.txt" && return
	say "no Python packages, their tests are skipped: $(tail -n 1 "$work/python.log")"
	return 1
}

# What the Makefile includes: pkg-config is asked once, not at every make.
write_mk() {
	local libs="fuse3 libblake3 sqlite3 libsodium libzstd libxxhash libcrypto"
	local check="libblake3 libsodium libzstd libcrypto"
	{
		# shellcheck disable=SC2086
		echo "DEPS_CFLAGS := $(pkg-config --cflags $libs)" &&
			echo "DEPS_LIBS := $(pkg-config --libs $libs)" &&
			echo "DEPS_LIBS_CHECK := $(pkg-config --libs $check)" &&
			echo "DEPS_LIBS_GIT := $(pkg-config --libs libgit2 libxxhash)"
	} >"$deps/build.mk.new" && mv "$deps/build.mk.new" "$deps/build.mk" ||
		die "pkg-config does not know: $libs"
}

# --- main -----------------------------------------------------------------

optional='clang-format-14'	# Debian 13 has none; lint then says so

[ $# -gt 0 ] || set -- build demo check
mkdir -p "$deps" "$work" || exit 1
exec 9>"$deps/.lock"
flock -n 9 || { say "waiting for another run"; flock 9; }

packages=$(missing "$@")
# shellcheck disable=SC2086
[ -z "$packages" ] || install_packages $packages
left=$(missing "$@" | grep -vxF "${optional// /$'\n'}")
[ -z "$left" ] || die "still missing: ${left//$'\n'/ }"
for group; do
	[ "$group" != build ] || { get_private && write_mk; } || exit 1
	[ "$group" != foreign ] || get_python || continue
	touch "$deps/$group.ok"
done
rm -rf "$work/state" "$work/system" "$work/cache" "$work/listed" "$work/fuse" "$work/blake3"
