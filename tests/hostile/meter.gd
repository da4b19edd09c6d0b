extends RefCounted
## What this process has used, from the kernel's own accounting.


## CPU time of this thread in microseconds; -1 where there is no descriptor left to read it. The kernel brings it up to
## date at each tick, 1 to 10 ms.
func cpu_usec() -> int:
	var file := FileAccess.open("/proc/thread-self/schedstat", FileAccess.READ)
	return -1 if file == null else file.get_line().get_slice(" ", 0).to_int() / 1000


## Open descriptors, without the one for looking.
func descriptors() -> int:
	return DirAccess.get_files_at("/proc/self/fd").size()


## Bytes in memory.
func resident() -> int:
	return _field("VmRSS:")


## The highest number of bytes in memory since `forget_peak`.
func peak() -> int:
	return _field("VmHWM:")


func forget_peak() -> void:
	var file := FileAccess.open("/proc/self/clear_refs", FileAccess.WRITE)
	file.store_string("5")
	file.close()


func _field(name: String) -> int:
	var file := FileAccess.open("/proc/self/status", FileAccess.READ)
	while not file.eof_reached():
		var line := file.get_line()
		if line.begins_with(name):
			return line.trim_prefix(name).to_int() * 1024
	return 0

