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
## For round trips that are up to date; the default saves traffic.
const HEARTBEAT_SECONDS := 1.0

var state := State.OUT
## Why the state is what it is, for people to read; may be empty.
var reason := ""
## Whether it tries again, too, where it has never been in.
var is_patient := false
var room := Room.new()
var peer: MultiplayerPeer
var url := ""

var _title := ""
var _referee: Referee
var _spectators: Spectators
var _reconnector := MioWebSocketReconnector.new()
var _kicked_because := ""
## What went wrong last.
var _why := ""
## How the server closed the connection, if it did and the peer can tell.
var _close := ""


func _init() -> void:
	add_child(room)
	_reconnector.first_delay = 0.5
	_reconnector.max_delay = 8.0
	_reconnector.connecting.connect(func(_attempt: int) -> void: _set_state(State.CONNECTING, ""))
	_reconnector.gave_up.connect(func() -> void: _end(_why))
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
	peer = _new_peer()
	var error: Error = peer.call(&"create_server", port, address)
	if error != OK:
		_end("Port %d cannot be used: %s" % [port, error_string(error)])
		return error
	multiplayer.multiplayer_peer = peer
	_referee = Referee.new(room)
	add_child(_referee)
	_referee.start()
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
	_reconnector.max_attempts = 0 if is_patient else 1
	_reconnector.start(multiplayer, _make_client)


## Ends whatever is going on.
func leave() -> void:
	_end("")


## Tries again at once.
func retry() -> void:
	_kicked_because = ""
	_reconnector.start(multiplayer, _make_client)


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
	return _reconnector.get_wait()


## Where a server listens.
func local_port() -> int:
	return peer.call(&"get_local_port") if peer != null and peer.has_method(&"get_local_port") else 0


func _make_client() -> MultiplayerPeer:
	if peer != null:
		peer.close()
	peer = _new_peer()
	var error: Error = peer.call(&"create_client", url)
	_why = "%s is no address to join: %s" % [url, error_string(error)]
	return peer if error == OK else null


func _on_connected() -> void:
	room.ask_in.rpc_id(1, _title)


func _on_welcomed() -> void:
	_reconnector.max_attempts = 0
	_set_state(State.IN, "")


func _on_failed() -> void:
	_why = _failure("No match at %s" % url)
	_tell_wait.call_deferred()


func _on_lost() -> void:
	_why = _failure("The server is gone")
	if _kicked_because.is_empty():
		_tell_wait.call_deferred()
	else:
		_end("You were kicked: %s" % _kicked_because)


## When the reconnector has decided whether there is another attempt.
func _tell_wait() -> void:
	if _reconnector.is_running():
		_set_state(State.WAITING, _why)


## `what` happened, and why, as far as the peer knows.
func _failure(what: String) -> String:
	if not _close.is_empty():
		return "%s: %s" % [what, _close]
	if peer.has_method(&"get_connection_error"):
		var error: Dictionary = peer.call(&"get_connection_error")
		if error.has("message"):
			return "%s: %s" % [what, error.message]
	return what


func _on_peer_disconnected(id: int) -> void:
	if is_server():
		_referee.remove(id, "left")


## A peer that tells, if it is the addon's, why connections end and how far away the others are.
func _new_peer() -> MultiplayerPeer:
	_close = ""
	var made := MioWebSocket.create_peer()
	if made.has_signal(&"peer_closed"):
		made.connect(&"peer_closed", _on_peer_closed)
		made.set(&"heartbeat_interval", HEARTBEAT_SECONDS)
		made.set(&"heartbeat_on_client", true)
	return made


func _on_peer_closed(id: int, code: int, why: String, was_clean: bool) -> void:
	if is_server() and not was_clean:
		_referee.remove(id, "lost the connection")
	elif not is_server() and was_clean:
		_close = ("closed with %d %s" % [code, why]).strip_edges()


func _end(why: String) -> void:
	_reconnector.stop()
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
