extends SceneTree
## What the demo's server and its clients share: arguments, waiting with a limit, printing, failing.

const Arena := preload("res://demo/headless/arena.gd")

var arena: Arena
var label := "?"

var _failures := PackedStringArray()
var _deadline := 0
var _waiting_for := "the start"


## Value of `--key=value` after the `--` of the command line.
static func argument(key: String, default: String) -> String:
	var start := "--%s=" % key
	for word in OS.get_cmdline_user_args():
		if word.begins_with(start):
			return word.substr(start.length())
	return default


func begin(process_label: String, role: String, peer_class: String, limit_seconds: float) -> void:
	label = process_label
	Engine.max_fps = 60
	_deadline = Time.get_ticks_msec() + int(limit_seconds * 1000.0)
	arena = Arena.new()
	arena.me = {"name": process_label, "role": role, "peer_class": peer_class}
	arena.happened.connect(say)
	root.add_child(arena)


## Null, and a failure noted, where the class does not exist.
func make_peer(peer_class: String) -> MultiplayerPeer:
	# By name, so that the same script runs where the library is not built.
	var peer: Object = ClassDB.instantiate(peer_class) if ClassDB.class_exists(peer_class) else null
	if not peer is MultiplayerPeer:
		fail("there is no class %s" % peer_class)
		return null
	return peer


func say(text: String) -> void:
	print(text)


func fail(what: String) -> void:
	_failures.append(what)
	print("DEMO FAILED: %s: %s" % [label, what])


func check(condition: bool, what: String) -> void:
	if not condition:
		fail(what)


## Lets frames pass until `condition` holds; false, and a failure noted, where it does not in time.
func until(condition: Callable, what: String, seconds := 12.0) -> bool:
	_waiting_for = what
	var end := Time.get_ticks_msec() + int(seconds * 1000.0)
	while not condition.call():
		if Time.get_ticks_msec() > end:
			fail("waited in vain for %s" % what)
			return false
		await process_frame
	return true


func pause(seconds: float) -> void:
	await create_timer(seconds).timeout


func end() -> void:
	var peer := get_multiplayer().multiplayer_peer
	if peer != null:
		peer.close()
	# A frame for the API to notice, and for freed players to go.
	await process_frame
	quit(0 if _failures.is_empty() else 1)


# The last resort: a script error would leave the process running for ever.
func _process(_delta: float) -> bool:
	if Time.get_ticks_msec() > _deadline:
		fail("time is up while waiting for %s" % _waiting_for)
		quit(1)
	return false
