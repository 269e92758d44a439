# lib.sh - verifiers that other people wrote, as shell functions.
#
#   xmod LOGDIR TRUST              golang.org/x/mod/sumdb, Debian's package
#   tessera LOGDIR TRUST [PROOF]…  tessera's fsck, transparency-dev formats
#
# LOGDIR holds a C2SP log (checkpoint, tile/).  Both answer 0 for yes, 1 for
# no, and exit the script with 77 and the reason where they cannot run.

export GOCACHE=$TOP/build/go/cache GOMODCACHE=$TOP/build/go/mod
export GOTOOLCHAIN=local GOFLAGS='-modcacherw -buildvcs=false'
gocode=/usr/share/gocode

skip() { echo "$*"; exit 77; }

# GO_VERSION MINIMUM, such as 1.25
go_is() {
	local have
	have=$(go version | sed -n 's/.*go\([0-9]*\.[0-9]*\).*/\1/p')
	[ "$(printf '%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}

xmod() {
	command -v go >/dev/null || skip 'Go is not installed'
	[ -d $gocode/src/golang.org/x/mod/sumdb ] ||
		skip 'golang-golang-x-mod-dev is not installed'
	[ -x "$TMPDIR/xmod" ] || GO111MODULE=off GOPATH=$gocode \
		go build -o "$TMPDIR/xmod" "$TOP/tests/foreign/xmod/main.go" ||
		return
	"$TMPDIR/xmod" "$1" "$2"
}

tessera() {
	local log trust
	log=$(realpath "$1") && trust=$(realpath "$2") || return
	shift 2
	command -v go >/dev/null || skip 'Go is not installed'
	go_is 1.25 || skip "tessera needs Go 1.25, here is $(go version)"
	(
		proofs=$(realpath "$@" 2>/dev/null)
		cd "$TOP/tests/foreign/tessera" || exit
		go mod download >"$TMPDIR/download" 2>&1 ||
			skip "no Go modules: $(tail -n 1 "$TMPDIR/download")"
		LOG=$log TRUST=$trust PROOF=$proofs go test -count=1 ./...
	)
}
