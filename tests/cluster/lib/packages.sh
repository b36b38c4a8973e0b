# shellcheck shell=bash
# Debian packages that the machine lacks.

# need_programs PROGRAM=PACKAGE…: installs the packages of programs that no package has brought yet.
need_programs() {
	local pair missing=()
	for pair in "$@"; do
		command -v "${pair%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	((${#missing[@]} == 0)) || need_packages "${missing[@]}"
}

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

# In a shell of its own, as every step is.
install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	# Another apt may be at work: wait for it instead of failing.
	local wait=(-o DPkg::Lock::Timeout=300)
	# No service of these packages is wanted on the machine itself.
	local policy=/usr/sbin/policy-rc.d
	if [[ ! -e $policy ]]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		trap 'exit 130' INT TERM
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	# What is installed stays: a package that would take its place is refused.
	apt-get "${wait[@]}" update -q && apt-get "${wait[@]}" install -y -q --no-install-recommends --no-remove "$@"
}
