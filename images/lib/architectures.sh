# shellcheck shell=bash
# Architectures, as images name them (amd64) and as compilers do (x86_64); sourced.

machine_of() {
	case $1 in
	amd64) echo x86_64 ;;
	arm64) echo aarch64 ;;
	*) die "unknown architecture $1: use amd64 or arm64" ;;
	esac
}

host_arch() { uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/'; }
