# shellcheck shell=bash disable=SC2034
# Images of our own programs, from a binary that is already built.

# program_rootfs DIR NAME BINARY: the binary without debug data, its libraries, certificates, zones.
program_rootfs() {
	local dir=$1 name=$2 binary=$3
	base_rootfs "$dir"
	mkdir -p "$dir/usr/local/bin"
	# Symbols stay, for backtraces with names.
	objcopy --strip-debug "$binary" "$dir/usr/local/bin/$name" || cp "$binary" "$dir/usr/local/bin/$name"
	chmod 755 "$dir/usr/local/bin/$name"
	add_libraries "$dir" "$binary"
	if [[ -f /etc/ssl/certs/ca-certificates.crt ]]; then
		add_file "$dir" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
	fi
	# Schedules have time zones.
	add_tree "$dir" /usr/share/zoneinfo
	rm -rf "$dir"/usr/share/zoneinfo/{right,posix}
	IMAGE=(--entrypoint "/usr/local/bin/$name" --user 65532:65532 --workdir /tmp --env PATH=/usr/local/bin)
}
