# shellcheck shell=bash
# Debian packages that the machine lacks.

# need_packages PACKAGE…: installs those that are missing and says which.
need_packages() {
	local missing=() package
	for package in "$@"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
	done
	((${#missing[@]} == 0)) && return
	((EUID == 0)) || die "these packages are missing and only root can install them: ${missing[*]}"
	command -v apt-get >/dev/null || die "these packages of Debian are missing; install what your system calls them: ${missing[*]}"
	step "install ${missing[*]}" install_packages "${missing[@]}"
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	# Another apt may be at work: wait for it instead of failing.
	local wait=(-o DPkg::Lock::Timeout=300)
	# No service of these packages is wanted on the machine itself.
	local policy=/usr/sbin/policy-rc.d mine=
	if [[ ! -e $policy ]]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		mine=1
	fi
	local code=0
	apt-get "${wait[@]}" update -q && apt-get "${wait[@]}" install -y -q --no-install-recommends "$@" || code=$?
	[[ -z $mine ]] || rm -f "$policy"
	return "$code"
}
