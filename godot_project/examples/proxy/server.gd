extends Node
## A server behind a proxy, which sees its players' addresses and not the proxy's.
##
## godot --headless --path godot_project res://examples/proxy/server.tscn -- --port=9080 --trust=127.0.0.1,::1
##
## The folder deploy/ of the addon's repository has files for nginx, HAProxy and Caddy on the same machine. What they do
## can be tried without them:
##
## curl -m 1 --http1.1 -H "Connection: Upgrade" -H "Upgrade: websocket" -H "Sec-WebSocket-Version: 13" \
##   -H "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==" -H "X-Forwarded-For: 203.0.113.7" http://127.0.0.1:9080/
##
## Arguments: --port; --bind (127.0.0.1, so that nobody comes but through the proxy); --trust (addresses and networks that
## the proxy connects from; what others say of an address does not count); --header (in which it tells the address);
## --proxy-protocol (off, optional, required: for proxies that pass on TCP).

const Arguments := preload("res://examples/arguments.gd")
const PROXY_PROTOCOLS: Dictionary[String, int] = {
	off = MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_OFF,
	optional = MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_OPTIONAL,
	required = MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_REQUIRED,
}

var _peer := MioWebSocketMultiplayerPeer.new()


func _ready() -> void:
	_peer.trusted_proxies = Arguments.text("trust", "127.0.0.1,::1").split(",", false)
	_peer.proxy_header = Arguments.text("header", "X-Forwarded-For")
	_peer.proxy_protocol = PROXY_PROTOCOLS.get(Arguments.text("proxy-protocol", "off"), 0)
	# Counts for each player, now that the server can tell them apart.
	_peer.connections_per_second_per_address = 5
	var error := _peer.create_server(int(Arguments.text("port", "9080")), Arguments.text("bind", "127.0.0.1"))
	if error != OK:
		push_error("Cannot listen: %s." % error_string(error))
		get_tree().quit(1)
		return
	multiplayer.multiplayer_peer = _peer
	multiplayer.peer_connected.connect(_on_peer_connected)
	multiplayer.peer_disconnected.connect(func(id: int) -> void: print("%d left." % id))
	print("Listening on port %d." % _peer.get_local_port())


func _on_peer_connected(id: int) -> void:
	print("%d joined from %s." % [id, _peer.get_peer_address(id)])
