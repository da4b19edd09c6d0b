class_name DedicatedServer
extends Node
## A match without a window: --port N (0 for any free one), --bind ADDRESS, --seconds N.
##
## With --port-file PATH it writes there where players and spectators find it, and ends when the file
## is taken away.

const FRAMES_PER_SECOND := 60

var session := Session.new()
## Where it listens.
var port := 0

var _arguments: CommandLine
var _seconds_left := INF


func _init(arguments: CommandLine) -> void:
	_arguments = arguments
	_seconds_left = arguments.number("seconds", INF)
	session.name = "Session"
	add_child(session)


func _ready() -> void:
	Engine.max_fps = FRAMES_PER_SECOND
	if not listen(int(_arguments.number("port", Rules.PORT))):
		set_process(false)
		get_tree().quit(1)
		return
	var world := session.room.world
	world.entered.connect(func(player: Player) -> void: print("+ %s" % player.title))
	world.left.connect(func(player: Player, why: String) -> void: print("- %s %s" % [player.title, why]))
	world.heard.connect(func(title: String, text: String) -> void: print("%s: %s" % [title, text]))
	world.round_ended.connect(func(winner: String, score: int) -> void: print("* %s wins with %d" % [winner, score]))


func listen(on_port: int) -> bool:
	port = on_port
	if port == 0 and not MioWebSocket.is_native():
		port = _free_port()
	if session.host(port, "", _arguments.text("bind", "*")) != OK:
		printerr(session.reason)
		return false
	if port == 0:
		port = session.local_port()
	print("listens on port %d (%s)" % [port, session.peer.get_class()])
	# Beside a port of the system's choice anything may be.
	session.open_to_spectators(0 if _arguments.text("port", "") == "0" else port + 1)
	return _publish("%d %d" % [port, session.spectators_port()])


func _process(delta: float) -> void:
	_seconds_left -= delta
	var file := _arguments.text("port-file", "")
	if _seconds_left <= 0.0 or not (file.is_empty() or FileAccess.file_exists(file)):
		get_tree().quit()


## Written beside and renamed, so that nobody reads half a number.
func _publish(text: String) -> bool:
	var path := _arguments.text("port-file", "")
	if path.is_empty():
		return true
	var file := FileAccess.open(path + ".part", FileAccess.WRITE)
	if file == null:
		printerr("cannot write %s" % path)
		return false
	file.store_string(text)
	file.close()
	return DirAccess.rename_absolute(path + ".part", path) == OK


## The engine's class cannot tell which port it was given.
static func _free_port() -> int:
	var probe := TCPServer.new()
	probe.listen(0, "127.0.0.1")
	var free := probe.get_local_port()
	probe.stop()
	return free
