class_name Session
extends Node
## A connection to a match, as its server or as a player, from the first attempt to the last.
##
## Has a multiplayer API of its own, so that one process can be in as many matches as it likes.

signal changed

enum State { OUT, CONNECTING, IN, WAITING }

## Close code for a player whom the host threw out.
const KICKED := 4001
## For the notice to arrive before the end does.
const NOTICE_SECONDS := 0.3
const FIRST_PAUSE := 0.5
const LONGEST_PAUSE := 8.0
## The engine's class waits for ever for a server that accepts and says nothing.
const PATIENCE := 6.0

var state := State.OUT
## Why the state is what it is, for people to read; may be empty.
var reason := ""
## Whether a lost connection is made anew.
var reconnects := true
var room := Room.new()
var peer: MultiplayerPeer
var url := ""

var _title := ""
var _referee: Referee
var _spectators: Spectators
var _timer := Timer.new()
var _attempts := 0
var _kicked_because := ""


func _init() -> void:
	add_child(room)
	_timer.one_shot = true
	_timer.timeout.connect(_on_timeout)
	add_child(_timer)
	room.welcomed.connect(_on_welcomed)
	room.dismissed.connect(func(why: String) -> void: _kicked_because = why)


func _enter_tree() -> void:
	var api := SceneMultiplayer.new()
	# Players speak to the server only.
	api.server_relay = false
	get_tree().set_multiplayer(api, get_path())
	api.peer_disconnected.connect(_on_peer_disconnected)
	api.connected_to_server.connect(_on_connected)
	api.connection_failed.connect(_on_failed)
	api.server_disconnected.connect(_on_lost)


func _exit_tree() -> void:
	leave()
	get_tree().set_multiplayer(null, get_path())


func is_server() -> bool:
	return _referee != null


## Starts a match on `port`. A `title` makes the server a player, too.
func host(port: int, title: String, address := "*") -> Error:
	leave()
	peer = MioWebSocket.create_peer()
	var error: Error = peer.call(&"create_server", port, address)
	if error != OK:
		_end("Port %d cannot be used: %s" % [port, error_string(error)])
		return error
	multiplayer.multiplayer_peer = peer
	_referee = Referee.new(room)
	add_child(_referee)
	_referee.start()
	_watch_closes()
	_set_state(State.IN, "")
	if not title.is_empty():
		room.ask_in(title)
	return OK


## Server: lets browsers watch, where the addon's library is.
func open_to_spectators(port: int) -> void:
	_spectators = Spectators.new(room.world, port)
	add_child(_spectators)


## Where browsers find the match; 0 if nowhere.
func spectators_port() -> int:
	return 0 if _spectators == null else _spectators.local_port()


## Joins the match at `address`, a URL, and comes back when the connection is lost.
func join(address: String, title: String) -> void:
	leave()
	url = address
	_title = title
	_attempts = 0
	_dial()


## Ends whatever is going on.
func leave() -> void:
	_end("")


## Tries again at once.
func retry() -> void:
	_attempts = 0
	_kicked_because = ""
	_dial()


## Server: throws a player out.
func kick(id: int, why: String) -> void:
	room.dismiss.rpc_id(id, why)
	await get_tree().create_timer(NOTICE_SECONDS).timeout
	if peer == null or not multiplayer.get_peers().has(id):
		return
	if peer.has_method(&"close_peer"):
		peer.call(&"close_peer", id, KICKED, why)
	else:
		peer.disconnect_peer(id)
	_referee.remove(id, "was kicked")


## Until the next attempt.
func seconds_to_wait() -> float:
	return _timer.time_left if state == State.WAITING else 0.0


## Where a server listens.
func local_port() -> int:
	return peer.call(&"get_local_port") if peer != null and peer.has_method(&"get_local_port") else 0


func _dial() -> void:
	_hang_up()
	peer = MioWebSocket.create_peer()
	if &"heartbeat_on_client" in peer:
		# Measures the round trip.
		peer.set(&"heartbeat_on_client", true)
		peer.set(&"heartbeat_interval", 1.0)
	var error: Error = peer.call(&"create_client", url)
	if error != OK:
		_end("%s is no address to join: %s" % [url, error_string(error)])
		return
	_watch_closes()
	multiplayer.multiplayer_peer = peer
	_timer.start(PATIENCE)
	_set_state(State.CONNECTING, "")


func _on_connected() -> void:
	room.ask_in.rpc_id(1, _title)


func _on_welcomed() -> void:
	_timer.stop()
	_attempts = 0
	_set_state(State.IN, "")


func _on_failed() -> void:
	_come_back(_failure("No match at %s" % url))


func _on_lost() -> void:
	if not _kicked_because.is_empty():
		_end("You were kicked: %s" % _kicked_because)
	else:
		_come_back(_failure("The server is gone"))


func _on_timeout() -> void:
	match state:
		State.WAITING:
			_dial()
		State.CONNECTING:
			_come_back("%s does not answer" % url)


## What the peer knows of a failure, if it can tell.
func _failure(otherwise: String) -> String:
	if not peer.has_method(&"get_connection_error"):
		return otherwise
	var error: Dictionary = peer.call(&"get_connection_error")
	return "%s: %s" % [otherwise, error.message] if error.has("message") else otherwise


## The first attempt of all must succeed; who has been in tries again, ever more slowly.
func _come_back(why: String) -> void:
	var was_in := state == State.IN or _attempts > 0
	if not reconnects or not was_in:
		_end(why)
		return
	_hang_up()
	var longest := minf(LONGEST_PAUSE, FIRST_PAUSE * pow(2.0, _attempts))
	_attempts += 1
	# Not all clients of a server that went at the same instant.
	_timer.start(longest * randf_range(0.5, 1.0))
	_set_state(State.WAITING, why)


func _on_peer_disconnected(id: int) -> void:
	if is_server():
		_referee.remove(id, "left")


## Says more about an end than the engine's class can.
func _watch_closes() -> void:
	if peer.has_signal(&"peer_closed"):
		peer.connect(&"peer_closed", _on_peer_closed)


func _on_peer_closed(id: int, code: int, text: String, _was_clean: bool) -> void:
	if code == KICKED and not is_server() and _kicked_because.is_empty():
		_kicked_because = text
	elif is_server() and code == 1006:
		_referee.remove(id, "lost the connection")


func _end(why: String) -> void:
	_timer.stop()
	_hang_up()
	for part: Node in [_referee, _spectators]:
		if part != null:
			part.process_mode = PROCESS_MODE_DISABLED
			part.queue_free()
	_referee = null
	_spectators = null
	_kicked_because = ""
	if state != State.OUT or not why.is_empty():
		_set_state(State.OUT, why)


func _hang_up() -> void:
	if peer != null:
		peer.close()
		peer = null
	if is_inside_tree():
		multiplayer.multiplayer_peer = null


func _set_state(to: State, why: String) -> void:
	state = to
	reason = why
	changed.emit()
