extends SceneTree
## A client of the built-in class that joins the server on a port of this machine and says nothing.

var _peer := WebSocketMultiplayerPeer.new()


func _initialize() -> void:
	_peer.create_client("ws://127.0.0.1:%s" % OS.get_cmdline_user_args()[0])


func _process(_delta: float) -> bool:
	_peer.poll()
	return _peer.get_connection_status() == MultiplayerPeer.CONNECTION_DISCONNECTED
