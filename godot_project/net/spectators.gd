class_name Spectators
extends Node
## Lets browsers watch the match: plain WebSockets on the next port get it as JSON, ten times a
## second. See watch/watch.js for who reads it. Needs the addon's library.
##
## {"type": "state", "arena": [width, height], "seconds": left, "players": [[id, name, x, y, score], …],
##  "orbs": [[x, y, is_star], …]} and {"type": "chat", "name": …, "text": …}

const PAUSE := 0.1
## Whoever reads more slowly misses states.
const MOST_WAITING := 32768
const MOST_SPECTATORS := 64

var _world: World
var _port: int
## A MioWebSocketServer, whose class may be missing.
var _server: RefCounted
var _sockets: Array[PacketPeer] = []
var _until_state := 0.0


func _init(world: World, port: int) -> void:
	_world = world
	_port = port
	world.heard.connect(_tell_chat)


func _ready() -> void:
	set_process(false)
	if not MioWebSocket.is_native():
		return
	_server = ClassDB.instantiate(&"MioWebSocketServer")
	if _server.call(&"listen", _port) == OK:
		print("spectators may come to port %d, with watch/index.html" % local_port())
		set_process(true)


func local_port() -> int:
	return 0 if _server == null else _server.call(&"get_local_port")


func _exit_tree() -> void:
	for socket in _sockets:
		socket.call(&"close", 1001)


func _process(delta: float) -> void:
	while _server.call(&"is_connection_available"):
		var newcomer: PacketPeer = _server.call(&"take_connection")
		if _sockets.size() < MOST_SPECTATORS:
			_sockets.append(newcomer)
		else:
			newcomer.call(&"close", 1013, "enough spectators")
	for socket: PacketPeer in _sockets.duplicate():
		socket.call(&"poll")
		while socket.get_available_packet_count() > 0:
			socket.get_packet()
		if socket.call(&"get_ready_state") == WebSocketPeer.STATE_CLOSED:
			_sockets.erase(socket)
	_until_state -= delta
	if _until_state <= 0.0 and not _sockets.is_empty():
		_until_state = PAUSE
		_tell(_state())


func _state() -> Dictionary:
	var players: Array[Array] = []
	for player: Player in _world.players.values():
		players.append([player.id, player.title, roundi(player.place.x), roundi(player.place.y), player.score])
	var orbs: Array[Array] = []
	for orb in _world.orbs.size():
		orbs.append([roundi(_world.orbs[orb].x), roundi(_world.orbs[orb].y), Rules.is_star(orb)])
	return {
		"type": "state",
		"arena": [Rules.ARENA.size.x, Rules.ARENA.size.y],
		"seconds": ceili(_world.seconds_left()),
		"players": players,
		"orbs": orbs,
	}


func _tell_chat(title: String, text: String) -> void:
	_tell({"type": "chat", "name": title, "text": text})


func _tell(what: Dictionary) -> void:
	var line := JSON.stringify(what)
	for socket in _sockets:
		if socket.call(&"get_current_outbound_buffered_amount") < MOST_WAITING:
			socket.call(&"send_text", line)
