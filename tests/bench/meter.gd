extends RefCounted
## What this process has used, from the kernel's own accounting.

const ENGINE_FRAMES := 60
const COUNTER_LIMIT_MS := 15_000

var server: SceneTree
## Frames hold the same work whoever serves. Where they do not, a server that does more than another
## in a frame is not the slower one: what a frame costs is not told.
var has_even_frames := true

var _cpu := 0
var _started := 0
var _frame := 0

## What was measured: microseconds, frames and units of work.
var _cpu_usec := 0.0
var _wall_usec := 0.0
var _frames := 0
var _units := 0
var _unit := ""
## What a frame of the engine costs without any network.
var _engine_usec := 0.0


func start() -> void:
	_count("count", true)
	_cpu = _cpu_nsec()
	_started = Time.get_ticks_usec()
	_frame = Engine.get_process_frames()


func stop(unit: String, units: int) -> void:
	_wall_usec = Time.get_ticks_usec() - _started
	_cpu_usec = (_cpu_nsec() - _cpu) / 1000.0
	_count("counted", false)
	_frames = maxi(Engine.get_process_frames() - _frame, 1)
	_unit = unit
	_units = maxi(units, 1)


## Measures frames of the engine in which nothing is done.
func measure_engine(tree: SceneTree) -> void:
	# The first one takes what has waited.
	await tree.process_frame
	var before := _cpu_nsec()
	for i in ENGINE_FRAMES:
		await tree.process_frame
	_engine_usec = (_cpu_nsec() - before) / 1000.0 / ENGINE_FRAMES


## What was measured, for each unit of work.
func account() -> Dictionary:
	var result := {
		"unit": _unit,
		"units": _units,
		"CPU us a " + _unit: _cpu_usec / _units,
	}
	if _engine_usec == 0.0:
		result["wall us a " + _unit] = _wall_usec / _units
	else:
		var own := _cpu_usec - _frames * _engine_usec
		result["CPU us a %s, less the engine" % _unit] = own / _units
		if has_even_frames:
			result["CPU us a frame"] = _cpu_usec / _frames
		result["wall us a frame"] = _wall_usec / _frames
	return result


## Bytes of memory that are its own, not a file's.
func memory() -> int:
	return _field("/proc/self/smaps_rollup", "Anonymous:")


## The highest number of bytes in memory since `forget_peak`.
func peak() -> int:
	return _field("/proc/self/status", "VmHWM:")


func resident() -> int:
	return _field("/proc/self/status", "VmRSS:")


func forget_peak() -> void:
	var file := FileAccess.open("/proc/self/clear_refs", FileAccess.WRITE)
	file.store_string("5")
	file.close()


## The clients' process has a counter watch this one from `start` to `stop`, if the options name a
## file: it is there as long as the counter is.
func _count(word: String, on: bool) -> void:
	var sync: String = server.options.get("sync", "")
	if sync == "":
		return
	server.tell(word)
	var end := Time.get_ticks_msec() + COUNTER_LIMIT_MS
	while FileAccess.file_exists(sync) != on and Time.get_ticks_msec() < end:
		OS.delay_usec(2000)


func _field(path: String, name: String) -> int:
	var file := FileAccess.open(path, FileAccess.READ)
	while not file.eof_reached():
		var line := file.get_line()
		if line.begins_with(name):
			return line.trim_prefix(name).to_int() * 1024
	return 0


## CPU time of all threads.
func _cpu_nsec() -> int:
	# The kernel adds up the time of a running thread when it stops running, or at a tick.
	OS.delay_usec(1000)
	var sum := 0
	for task in DirAccess.get_directories_at("/proc/self/task"):
		var file := FileAccess.open("/proc/self/task/%s/schedstat" % task, FileAccess.READ)
		sum += file.get_line().get_slice(" ", 0).to_int()
	return sum
