extends "res://support.gd"
## MioWebSocketMultiplayerPeer as the client of foreign game servers: those of python/servers.py and node/servers.mjs.
##
## --ports=JSON_PATH --certificates=FOLDER

const MANY := 2000
## What those servers hand out; no byte like another, so that a wrong order shows.
const ID := 0x12345678
const CONNECTED := MultiplayerPeer.CONNECTION_CONNECTED
const DISCONNECTED := MultiplayerPeer.CONNECTION_DISCONNECTED

var _peer: MioWebSocketMultiplayerPeer
## "+1" for each peer_connected, "-1" for each peer_disconnected.
var _events: Array[String] = []


func _initialize() -> void:
	begin(40.0)
	var all := ports()
	await _play("ws: ", "ws://127.0.0.1:%d" % all.game)
	await _play("wss: ", "wss://localhost:%d" % all.game_tls)
	end()


func _play(prefix: String, url: String) -> void:
	_peer = MioWebSocketMultiplayerPeer.new()
	_peer.tls_ca_bundle = argument("certificates").path_join("root.crt")
	_peer.outbound_buffer_size = 1 << 20
	_peer.peer_connected.connect(func(id: int) -> void: _events.append("+%d" % id))
	_peer.peer_disconnected.connect(func(id: int) -> void: _events.append("-%d" % id))

	equal(prefix + "joins", await _join(url + "/room?seat=4"), CONNECTED)
	equal(prefix + "id", _peer.get_unique_id(), ID)
	equal(prefix + "view", _peer.get_peer(1).get_requested_url(), url + "/room?seat=4")
	for size: int in [1, 125, 126, 127, 65535]:
		equal(prefix + "packet of %d" % size, await _ask(pattern(size)), pattern(size))
	equal(prefix + "text is a packet", await _ask("/text".to_utf8_buffer()), "grüße".to_utf8_buffer())
	await _in_order(prefix)

	await _expect_end(prefix + "server closes", "/leave")
	equal(prefix + "joins again", await _join(url), CONNECTED)
	await _expect_end(prefix + "server drops", "/drop")
	equal(prefix + "id in fragments", await _join(url + "/fragmented"), CONNECTED)
	equal(prefix + "id in fragments is whole", _peer.get_unique_id(), ID)
	_peer.close()
	equal(prefix + "own close", _peer.get_connection_status(), DISCONNECTED)

	_events.clear()
	_peer.handshake_timeout = 0.5
	equal(prefix + "no id", await _join(url + "/silent"), DISCONNECTED)
	print("EXPECT_ERROR not a valid id")
	equal(prefix + "id of three bytes", await _join(url + "/short"), DISCONNECTED)
	equal(prefix + "nobody was met", _events, [] as Array[String])
	_peer.close()


## Connects and waits for how it comes out: the connection status.
func _join(url: String) -> int:
	_events.clear()
	var error := _peer.create_client(url)
	if error != OK:
		return -error
	await until(
		func() -> bool:
			_peer.poll()
			return _peer.get_connection_status() != MultiplayerPeer.CONNECTION_CONNECTING
	)
	return _peer.get_connection_status()


func _send(packet: PackedByteArray) -> void:
	_peer.set_target_peer(1)
	_peer.put_packet(packet)


func _receive() -> PackedByteArray:
	await until(
		func() -> bool:
			_peer.poll()
			return _peer.get_available_packet_count() > 0 or _peer.get_connection_status() == DISCONNECTED
	)
	return _peer.get_packet() if _peer.get_available_packet_count() > 0 else PackedByteArray()


func _ask(packet: PackedByteArray) -> PackedByteArray:
	_send(packet)
	return await _receive()


func _in_order(prefix: String) -> void:
	for i in MANY:
		_send(var_to_bytes(i))
	for i in MANY:
		var got := await _receive()
		if got != var_to_bytes(i):
			equal(prefix + "many packets in order", got, var_to_bytes(i))
			return
	check(prefix + "many packets in order", true)


func _expect_end(name: String, command: String) -> void:
	_send(command.to_utf8_buffer())
	await until(
		func() -> bool:
			_peer.poll()
			return _peer.get_connection_status() == DISCONNECTED
	)
	equal(name, _events, ["+1", "-1"] as Array[String])
