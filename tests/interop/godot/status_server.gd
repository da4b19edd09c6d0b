extends "res://support.gd"
## A game's server that is watched over its status endpoint, which is the port that it publishes.
##
## --port-file=PATH
## Two players are in, one has left with code 4000, and 10 packets of 100 bytes have come.

const LIMIT := 240.0

var _server := MioWebSocketMultiplayerPeer.new()
var _players: Array[MioWebSocketMultiplayerPeer] = []


func _initialize() -> void:
	begin(LIMIT)
	equal("create_server", _server.create_server(0, "127.0.0.1"), OK)
	equal("create_status_endpoint", _server.create_status_endpoint(0), OK)
	for i in 3:
		var player := MioWebSocketMultiplayerPeer.new()
		player.create_client("ws://127.0.0.1:%d" % _server.get_local_port())
		_players.append(player)
	check("three players join", await until(func() -> bool: return _play() and _server.get_stats().peers == 3))
	for i in 10:
		_players[0].put_packet(PackedByteArray(range(100)))
	_players[2].get_peer(1).close(4000, "bye")
	var are_there := func() -> bool:
		return _play() and _server.get_stats().peers == 2 and _server.get_available_packet_count() == 10
	if check("one leaves, and packets come", await until(are_there)) and publish(_server.get_status_endpoint_port()):
		await until(func() -> bool: return _play() and not is_wanted(), LIMIT)
	_server.close()
	end()


func _play() -> bool:
	_server.poll()
	for player in _players:
		player.poll()
	return true
