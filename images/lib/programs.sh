# shellcheck shell=bash disable=SC2034
# Images of our own programs, from a binary that is already built.

# program_rootfs DIR NAME BINARY MACHINE: the binary without debug data, its libraries, certificates, time zones.
program_rootfs() {
	local dir=$1 name=$2 binary=$3 machine=$4
	base_rootfs "$dir"
	mkdir -p "$dir/usr/local/bin"
	# Symbols stay, for backtraces with names. A program of another architecture is stripped when it is linked.
	objcopy --strip-debug "$binary" "$dir/usr/local/bin/$name" 2>/dev/null || cp "$binary" "$dir/usr/local/bin/$name"
	chmod 755 "$dir/usr/local/bin/$name"
	add_needed_libraries "$dir" "$machine" "$binary"
	if [[ -f /etc/ssl/certs/ca-certificates.crt ]]; then
		add_file "$dir" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
	fi
	# Schedules have time zones.
	add_tree "$dir" /usr/share/zoneinfo
	rm -rf "$dir"/usr/share/zoneinfo/{right,posix}
	IMAGE=(--entrypoint "/usr/local/bin/$name" --user 65532:65532 --workdir /tmp --env PATH=/usr/local/bin)
}

# library_folder MACHINE: the libraries for programs of MACHINE: the system's own, or the cross compiler's.
library_folder() {
	if [[ $1 == "$(uname -m)" ]]; then echo "/usr/lib/$1-linux-gnu"; else echo "/usr/$1-linux-gnu/lib"; fi
}

# add_needed_libraries DIR MACHINE FILE: the shared libraries that the file needs, those that they need, and the loader.
# Read from the files: the loader of another architecture does not run here.
add_needed_libraries() {
	local dir=$1 machine=$2 file=$3 folder name target
	folder=$(library_folder "$machine")
	name=$(LC_ALL=C readelf --program-headers --wide "$file" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
	[[ -z $name ]] || add_file "$dir" "$folder/${name##*/}" "$name"
	for name in $(LC_ALL=C readelf --dynamic --wide "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		target=/usr/lib/$machine-linux-gnu/$name
		# The loader is there already, at the path that programs name.
		if [[ $name == ld-linux-* || -e $dir$target ]]; then continue; fi
		[[ -f $folder/$name ]] || die "$file needs $name, which is not in $folder"
		add_file "$dir" "$folder/$name" "$target"
		add_needed_libraries "$dir" "$machine" "$folder/$name"
	done
}
