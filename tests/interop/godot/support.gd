extends SceneTree
## What the scenes share: arguments, an end in any case, the file that tells the port, the account of cases.
##
## A scene prints `PASS name` or `FAIL name: why` for each case and ends with 0 or 1.

const TICK := 1.0 / 120.0

var _arguments := {}
var _passed := 0
var _failed := 0
var _deadline := 0
var _port_file := ""


## To be called first. `limit` is in seconds: nobody is there to end a scene that hangs.
func begin(limit: float) -> void:
	Engine.max_fps = roundi(1.0 / TICK)
	_deadline = Time.get_ticks_msec() + roundi(limit * 1000)
	for argument in OS.get_cmdline_user_args():
		var parts := argument.trim_prefix("--").split("=", true, 1)
		_arguments[parts[0]] = parts[1] if parts.size() > 1 else ""


func argument(name: String, fallback := "") -> String:
	return _arguments.get(name, fallback)


func is_late() -> bool:
	return Time.get_ticks_msec() > _deadline


## Tells whoever started the scene where it listens. Written beside and renamed, so that nobody reads half a number.
func publish(port: int) -> bool:
	_port_file = argument("port-file")
	var file := FileAccess.open(_port_file + ".part", FileAccess.WRITE)
	if file == null:
		return check("the port is published", false, _port_file)
	file.store_string(str(port))
	file.close()
	return DirAccess.rename_absolute(_port_file + ".part", _port_file) == OK


## A server runs until its port file is taken away.
func is_wanted() -> bool:
	return FileAccess.file_exists(_port_file) and not is_late()


## The ports of the servers that another program runs, by name.
func ports() -> Dictionary:
	return JSON.parse_string(FileAccess.get_file_as_string(argument("ports")))


func check(name: String, condition: bool, why: Variant = "") -> bool:
	if condition:
		_passed += 1
		print("PASS ", name)
	else:
		_failed += 1
		print("FAIL %s: %s" % [name, str(why).replace("\n", " ").left(400)])
	return condition


func equal(name: String, got: Variant, wanted: Variant) -> bool:
	var same: bool = typeof(got) == typeof(wanted) and got == wanted
	return check(name, same, "got %s, wanted %s" % [str(got).left(150), str(wanted).left(150)])


## Lets frames pass until `condition` holds; false where it does not in time.
func until(condition: Callable, seconds := 5.0) -> bool:
	var end := mini(_deadline, Time.get_ticks_msec() + roundi(seconds * 1000))
	while not condition.call():
		if Time.get_ticks_msec() > end:
			return false
		await process_frame
	return true


func end() -> void:
	check("done in time", not is_late())
	print("%d passed, %d failed" % [_passed, _failed])
	quit(0 if _failed == 0 else 1)


## Bytes of which no two neighbours are alike, so that lost or doubled ones show.
static func pattern(size: int) -> PackedByteArray:
	var bytes := PackedByteArray()
	bytes.resize(size)
	for i in size:
		bytes[i] = (i * 7 + i / 256) & 0xff
	return bytes
