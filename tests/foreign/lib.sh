# lib.sh - verifiers that other people wrote, as shell functions.
#
#   need_xmod; xmod LOGDIR TRUST
#       golang.org/x/mod/sumdb, Debian's package
#   need_tessera; tessera LOGDIR TRUST [PROOF]...
#       tessera's fsck, transparency-dev's formats and merkle
#
#   need_python; python_check FORM FILE [KEY WRONG]
#       the libraries of statement/requirements.txt, in build/deps/python
#   need_cosign; "$cosign"
#       of a fixed version, which `make check-cosign` builds
#
# LOGDIR holds a C2SP log (checkpoint, tile/).  need_* end the script with 77
# and the reason where a verifier cannot run; the others answer 0 for yes, 1
# for no.

export GOCACHE=${GOCACHE:-$TOP/build/go/cache}
export GOMODCACHE=${GOMODCACHE:-$TOP/build/go/mod}
export GOTOOLCHAIN=local GOFLAGS='-modcacherw -buildvcs=false'
gocode=/usr/share/gocode
xmod_binary=$PWD/xmod.bin

skip() { echo "$*"; exit 77; }

# go_is MINIMUM, such as 1.25
go_is() {
	local have
	have=$(go version | sed -n 's/.*go\([0-9]*\.[0-9]*\).*/\1/p')
	[ "$(printf '%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}

need_xmod() {
	command -v go >/dev/null || skip 'Go is not installed'
	[ -d $gocode/src/golang.org/x/mod/sumdb ] ||
		skip 'golang-golang-x-mod-dev is not installed'
	GO111MODULE=off GOPATH=$gocode \
		go build -o "$xmod_binary" "$TOP/tests/foreign/xmod/main.go" ||
		{ echo 'FAIL: xmod does not build'; exit 1; }
}

xmod() { "$xmod_binary" "$1" "$2"; }

need_tessera() {
	command -v go >/dev/null || skip 'Go is not installed'
	go_is 1.25 || skip "tessera needs Go 1.25, here is $(go version)"
	(cd "$TOP/tests/foreign/tessera" && go mod download) >download 2>&1 ||
		skip "no Go modules: $(tail -n 1 download)"
}

tessera() {
	local log trust
	log=$(realpath "$1") && trust=$(realpath "$2") || return
	shift 2
	LOG=$log TRUST=$trust PROOF=$([ $# = 0 ] || realpath "$@") \
		go -C "$TOP/tests/foreign/tessera" test -count=1 ./...
}

need_python() {
	python=$TOP/build/deps/python/bin/python
	cmp -s "$TOP/tests/foreign/statement/requirements.txt" \
		"$TOP/build/deps/python/requirements.txt" ||
		skip 'no Python packages (.ci/deps.sh foreign gets them)'
}

python_check() { "$python" "$TOP/tests/foreign/statement/check.py" "$@"; }

cosign_version=v3.1.3

need_cosign() {
	cosign=$TOP/build/go/bin/cosign-$cosign_version
	[ -x "$cosign" ] || skip 'cosign is not built (make check-cosign builds it, for ten minutes)'
}

# Builds it; modules are checked against their sums by Go itself.
make_cosign() {
	cosign=$TOP/build/go/bin/cosign-$cosign_version
	[ ! -x "$cosign" ] || return 0
	command -v go >/dev/null || skip 'Go is not installed'
	go_is 1.25 || skip "cosign needs Go 1.25, here is $(go version)"
	GOBIN=$TOP/build/go/bin go install \
		"github.com/sigstore/cosign/v3/cmd/cosign@$cosign_version" &&
		mv "$TOP/build/go/bin/cosign" "$cosign"
}
