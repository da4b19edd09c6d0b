extends Node
## A client that comes back when its server has restarted or was lost, and stays away when it is told to.
##
## godot --headless --path godot_project res://examples/reconnect/client.tscn -- --url=ws://127.0.0.1:9080
##
## It plays with the server of examples/drain, and of examples/tls. Arguments: --url, --class (of the peer), --ca (the
## certificates that it trusts, for wss; without it the system's).

const Notice := preload("res://examples/drain/notice.gd")
const Arguments := preload("res://examples/arguments.gd")

# In a variable: when nobody holds it any more it stops.
var _reconnector := MioWebSocketReconnector.new()
@onready var _notice: Notice = $Notice


func _ready() -> void:
	_notice.going_down.connect(func(seconds: float) -> void: print("The server goes down in %d seconds." % seconds))
	multiplayer.server_disconnected.connect(_on_server_disconnected)
	_reconnector.connecting.connect(func(attempt: int) -> void: print("Connecting, attempt %d." % attempt))
	_reconnector.connected.connect(func() -> void: print("Connected as %d." % multiplayer.get_unique_id()))
	_reconnector.gave_up.connect(_on_gave_up)
	_reconnector.start(multiplayer, _make_peer)


func _make_peer() -> MultiplayerPeer:
	var peer := MioWebSocket.create_peer()
	var name_of_class := Arguments.text("class", "")
	if not name_of_class.is_empty():
		peer = ClassDB.instantiate(name_of_class)
	var ca := Arguments.text("ca", "")
	if not ca.is_empty():
		peer.set(&"tls_ca_bundle", ca)
	var error: Error = peer.call(&"create_client", Arguments.text("url", "ws://127.0.0.1:9080"))
	return peer if error == OK else null


func _on_server_disconnected() -> void:
	print("Lost: %d %s." % [_reconnector.get_close_code(), _reconnector.get_close_reason()])


func _on_gave_up() -> void:
	var status := _reconnector.get_status()
	print("Not coming back: %s." % ("HTTP status %d" % status if status > 0 else _reconnector.get_close_reason()))
	get_tree().quit()
