extends Node
## A game that the debugger watches: a server with three clients, of which one is kicked and one comes to a path that
## is not there.

const CLIENTS := 3
## Seconds until the kick, which the debugger has to have seen players before, and until the end.
const KICK := 3.0
const END := 40.0

var _server := MioWebSocketMultiplayerPeer.new()
var _clients: Array[MioWebSocketMultiplayerPeer] = []


func _ready() -> void:
	_server.heartbeat_interval = 0.2
	_server.allowed_paths = ["/"]
	_server.create_server(0, "127.0.0.1")
	multiplayer.multiplayer_peer = _server
	for path: String in ["", "", "", "/elsewhere"]:
		var client := MioWebSocketMultiplayerPeer.new()
		client.create_client("ws://127.0.0.1:%d%s" % [_server.get_local_port(), path])
		_clients.append(client)
	get_tree().create_timer(KICK).timeout.connect(_kick)
	get_tree().create_timer(END).timeout.connect(get_tree().quit)


func _process(_delta: float) -> void:
	for client: MioWebSocketMultiplayerPeer in _clients:
		client.poll()
		while client.get_available_packet_count() > 0:
			client.get_packet()
	for id: int in _server.get_peer_ids():
		_server.set_target_peer(id)
		_server.put_packet([1, 2, 3, 4])


func _kick() -> void:
	_server.close_peer(_server.get_peer_ids()[0], 4001, "kicked")
