extends Node
## A server that is stopped without cutting players off: they are told, nobody new comes in, and the process ends when
## all have gone or the time is up.
##
## godot --headless --path godot_project res://examples/drain/server.tscn -- --port=9080 --stop-file=/run/game/stop
##
## The engine ends at once on SIGTERM, without asking a script. So whoever stops the server makes a file and waits for
## the end of the process. In a unit of systemd:
##
## RuntimeDirectory=game
## ExecStop=/bin/sh -c '[ -z "$MAINPID" ] || { touch /run/game/stop && tail --pid=$MAINPID -f /dev/null; }'
## TimeoutStopSec=60
##
## deploy/systemd/game@.service of the repository has these lines.
##
## Arguments: --port, --stop-file, --seconds (until players are closed), --code and --reason (what they are told then:
## 1001 means that the server goes away, 4000 to 4999 are the game's).

const Notice := preload("res://examples/drain/notice.gd")
const Arguments := preload("res://examples/arguments.gd")

var _peer := MioWebSocketMultiplayerPeer.new()
var _stop_file := Arguments.text("stop-file", "user://stop")
@onready var _notice: Notice = $Notice


func _ready() -> void:
	# One of an earlier run would end this one at once.
	DirAccess.remove_absolute(_stop_file)
	var port := int(Arguments.text("port", "9080"))
	var error := _peer.create_server(port)
	if error != OK:
		push_error("Cannot listen on port %d: %s." % [port, error_string(error)])
		get_tree().quit(1)
		return
	multiplayer.multiplayer_peer = _peer
	multiplayer.peer_connected.connect(func(id: int) -> void: print("%d joined." % id))
	multiplayer.peer_disconnected.connect(func(id: int) -> void: print("%d left." % id))
	_peer.drain_started.connect(func(seconds: float) -> void: _notice.tell.rpc(seconds))
	_peer.drained.connect(_on_drained)
	# A window that is closed asks as the file does.
	get_tree().auto_accept_quit = false
	var timer := Timer.new()
	timer.wait_time = 0.5
	timer.timeout.connect(_look_for_stop_file)
	add_child(timer)
	timer.start()
	print("Listening on port %d; stop with: touch %s" % [port, ProjectSettings.globalize_path(_stop_file)])


func _notification(what: int) -> void:
	if what == NOTIFICATION_WM_CLOSE_REQUEST:
		shut_down()


func shut_down() -> void:
	if _peer.is_draining():
		return
	var seconds := float(Arguments.text("seconds", "30"))
	print("Going down in %d seconds." % seconds)
	_peer.begin_drain(seconds, int(Arguments.text("code", "1001")), Arguments.text("reason", "restart"))


func _look_for_stop_file() -> void:
	if FileAccess.file_exists(_stop_file):
		shut_down()


func _on_drained() -> void:
	print("Everybody has gone.")
	DirAccess.remove_absolute(_stop_file)
	get_tree().quit()
