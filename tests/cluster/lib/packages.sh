# shellcheck shell=bash
# Missing Debian packages.

# need_programs PROGRAM=PACKAGE…: installs the packages of missing programs.
need_programs() {
	local pair missing=()
	for pair in "$@"; do
		command -v "${pair%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	((${#missing[@]} == 0)) || need_packages "${missing[@]}"
}

# need_packages PACKAGE…: installs the missing ones and names them.
need_packages() {
	local missing=() package
	for package in "$@"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
	done
	((${#missing[@]} == 0)) && return
	((EUID == 0)) || die "these packages are missing and only root can install them: ${missing[*]}"
	command -v apt-get >/dev/null || die "these Debian packages are missing; install their equivalents: ${missing[*]}"
	step "install ${missing[*]}" install_packages "${missing[@]}"
}

# Runs in a subshell, as every step does.
install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	# Another apt may be running: wait for it instead of failing.
	local wait=(-o DPkg::Lock::Timeout=300)
	# The services of these packages must not start on the machine itself.
	local policy=/usr/sbin/policy-rc.d
	if [[ ! -e $policy ]]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		trap 'exit 130' INT TERM
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	# Installed packages stay: refuse a package that would replace one.
	apt-get "${wait[@]}" update -q && apt-get "${wait[@]}" install -y -q --no-install-recommends --no-remove "$@"
}
