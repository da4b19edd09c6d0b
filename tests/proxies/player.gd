extends "res://support.gd"
## A player who comes through a proxy, with our class and with the engine's own.
##
## --url=URL --ca=PEM_PATH

const SIZES: Array[int] = [1, 125, 126, 65535, 65536, 1 << 20]

var _peer: MultiplayerPeer


func _initialize() -> void:
	begin(40.0)
	for name: String in ["MioWebSocketMultiplayerPeer", "WebSocketMultiplayerPeer"]:
		await _play(name, argument("url"))
	end()


func _play(name: String, url: String) -> void:
	_peer = ClassDB.instantiate(name)
	_peer.inbound_buffer_size = 4 << 20
	_peer.outbound_buffer_size = 4 << 20
	var options: TLSOptions = null
	if url.begins_with("wss:"):
		var ca := X509Certificate.new()
		ca.load(argument("ca"))
		options = TLSOptions.client(ca)
	_peer.create_client(url, options)
	await until(
		func() -> bool:
			_peer.poll()
			return _peer.get_connection_status() != MultiplayerPeer.CONNECTION_CONNECTING
	)
	equal(name + " joins", _peer.get_connection_status(), MultiplayerPeer.CONNECTION_CONNECTED)
	check(name + " has an id", _peer.get_unique_id() > 1, _peer.get_unique_id())
	for size in SIZES:
		var packet := pattern(size)
		equal("%s, packet of %d" % [name, size], await _ask(packet), packet)
	_peer.close()


func _ask(packet: PackedByteArray) -> PackedByteArray:
	_peer.set_target_peer(1)
	_peer.put_packet(packet)
	await until(
		func() -> bool:
			_peer.poll()
			return _peer.get_available_packet_count() > 0
	)
	return _peer.get_packet() if _peer.get_available_packet_count() > 0 else PackedByteArray()
