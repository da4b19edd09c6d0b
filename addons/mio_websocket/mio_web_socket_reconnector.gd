class_name MioWebSocketReconnector
extends RefCounted
## Connects a client to its server, and again when the connection was lost.
##
## Works with [code]MioWebSocketMultiplayerPeer[/code] and [WebSocketMultiplayerPeer], and so in web exports, too. The
## waits between attempts grow exponentially and are drawn at random from all that is allowed (full jitter), so that
## the players of a server that has started anew do not all come back at once. A close code can say not to come back.
## [codeblock]
## var reconnector := MioWebSocketReconnector.new()
##
## func _ready() -> void:
##     reconnector.connecting.connect(func(attempt: int) -> void: print("Attempt %d …" % attempt))
##     reconnector.connected.connect(func() -> void: print("Connected."))
##     reconnector.gave_up.connect(func() -> void: print("Gave up: ", reconnector.get_close_reason()))
##     reconnector.start(multiplayer, make_peer)
##
## func make_peer() -> MultiplayerPeer:
##     var peer := MioWebSocket.create_peer()
##     return peer if peer.call(&"create_client", "ws://example.com:9080") == OK else null
## [/codeblock]
## Everybody gets a new id with each connection; who a player was, for example by a token, is the game's to say.
## [br][br]
## It is a [RefCounted] and not a [Node], because it belongs to a [MultiplayerAPI] and not to a place in the scene
## tree: it lives through changes of scene, and there can be one for each API. Keep it in a variable; when nobody
## holds it any more it stops. Time comes from the [SceneTree], real seconds, also while the game is paused.

## An attempt begins. The first has the number 1; the count starts anew after a connection that has lasted
## [member stable_seconds].
signal connecting(attempt: int)
## The client has its id and can send and be sent to.
signal connected
## There will be no other attempt: a limit was reached, the server has said not to come back (see
## [member final_codes]), or there is no peer to connect with. [method start] can be called again.
signal gave_up

## The wait before the second attempt is between 0 and so many seconds; it doubles with each further one.
var first_delay := 1.0
## No wait is longer than so many seconds.
var max_delay := 30.0
## Most attempts in a row; 0 means no limit.
var max_attempts := 0
## Most seconds from the first attempt, or from the loss of a connection, to the last attempt; 0 means no limit.
var max_seconds := 0.0
## A connection that has lasted so many seconds counts as success: afterwards attempts, waits and [member max_seconds]
## start anew. A server that lets in and drops at once is asked more and more seldom.
var stable_seconds := 5.0
## Close codes after which the client does not come back, as ranges with both ends. By default 1000 (the server's
## [method MultiplayerPeer.disconnect_peer] sends it), 1008 (the client breaks a rule) and 4000 to 4999 (the game's
## own). After 1001 (the server goes away), any other code and a connection that was lost without one, it does.
var final_codes: Array[Vector2i] = [Vector2i(1000, 1000), Vector2i(1008, 1008), Vector2i(4000, 4999)]
## HTTP statuses with which a server refuses a client that does not come back then, as ranges with both ends. By
## default 400 to 404: something about the request is wrong, such as its token or its path. After others, such as 503
## of a server that is full or goes down, it does. [WebSocketMultiplayerPeer] does not tell the status and always
## tries again.
var final_statuses: Array[Vector2i] = [Vector2i(400, 404)]

var _api: MultiplayerAPI
var _make_peer: Callable
var _peer: MultiplayerPeer
## Counts the calls of start and stop, so that it is noticed when a handler calls them.
var _run := 0
var _attempt := 0
var _timer: SceneTreeTimer
## Milliseconds: since when there is no connection, and since when there is one (or -1).
var _lost_at := 0
var _connected_at := -1
var _close_code := -1
var _close_reason := ""
var _status := 0


## Makes the first attempt, and others until [method stop] is called or one of the limits is reached. [param api] is
## mostly [member Node.multiplayer]; if the game sets another peer there, or none, the reconnector stops.
## [param make_peer] is called for each attempt, without arguments, and returns a new [MultiplayerPeer] whose
## [code]create_client[/code] has been called; or [code]null[/code] to give up. It may [code]await[/code] something,
## such as a token, first. When its object has been freed by the time of an attempt, the reconnector gives up and says
## so in the log.
func start(api: MultiplayerAPI, make_peer: Callable) -> void:
	stop()
	_api = api
	_make_peer = make_peer
	_attempt = 0
	_lost_at = Time.get_ticks_msec()
	_forget_end()
	api.connected_to_server.connect(_on_connected)
	api.connection_failed.connect(_on_failed)
	api.server_disconnected.connect(_on_lost)
	_try.call()


## Makes no other attempt, and gives up the one that is under way. A connection that is there stays; to leave the
## server call this first, then [method MultiplayerPeer.close].
func stop() -> void:
	var peer := _peer if is_running() else null
	_release()
	if peer != null and peer.get_connection_status() == MultiplayerPeer.CONNECTION_CONNECTING:
		peer.close()


## Whether it connects, waits to connect, or watches a connection. If the game has set another peer it does not.
func is_running() -> bool:
	return _api != null and (_peer == null or _api.multiplayer_peer == _peer)


## The number of the present attempt, or of the last one.
func get_attempt() -> int:
	return _attempt


## Seconds until the next attempt; 0 unless it waits for one.
func get_wait() -> float:
	return 0.0 if _timer == null else _timer.time_left


## The close code with which the last connection ended; -1 if there was none. Forgotten when the next attempt begins.
func get_close_code() -> int:
	return _close_code


## The reason that came with [method get_close_code].
func get_close_reason() -> String:
	return _close_reason


## The HTTP status with which the last attempt was refused; 0 if it was not, or if the peer does not tell. A handler of
## [signal MultiplayerAPI.connection_failed] finds it if it was connected after [method start] had been called.
func get_status() -> int:
	return _status


func _try() -> void:
	var run := _run
	_attempt += 1
	connecting.emit(_attempt)
	if run != _run:
		return
	if not _make_peer.is_valid():
		push_error("MioWebSocketReconnector: make_peer cannot be called")
		_give_up()
		return
	var former := _api.multiplayer_peer
	var made: Variant = await _make_peer.call()
	if run != _run:
		return
	if _api.multiplayer_peer != former:
		# The game has set another peer meanwhile, or none.
		_release()
		return
	if made != null and not made is MultiplayerPeer:
		push_error("MioWebSocketReconnector: make_peer returned no MultiplayerPeer")
		made = null
	var peer: MultiplayerPeer = made
	if peer == null or peer.get_connection_status() == MultiplayerPeer.CONNECTION_DISCONNECTED:
		_give_up()
		return
	_peer = peer
	_connected_at = -1
	_forget_end()
	peer.peer_disconnected.connect(_on_peer_disconnected)
	_api.multiplayer_peer = peer


func _on_connected() -> void:
	if _goes_on():
		_connected_at = Time.get_ticks_msec()
		connected.emit()


## The peer still knows its connection now; when the API tells of the loss it does not.
func _on_peer_disconnected(id: int) -> void:
	if id != MultiplayerPeer.TARGET_PEER_SERVER or _peer == null:
		return
	var socket: Object = _peer.call(&"get_peer", id)
	if socket != null:
		_close_code = socket.call(&"get_close_code")
		_close_reason = socket.call(&"get_close_reason")


func _on_lost() -> void:
	if not _has_ended():
		return
	var now := Time.get_ticks_msec()
	if _connected_at >= 0 and now - _connected_at >= stable_seconds * 1000.0:
		_attempt = 0
		_lost_at = now
	_on_failed()


func _on_failed() -> void:
	if not _has_ended():
		return
	_peer.peer_disconnected.disconnect(_on_peer_disconnected)
	if _peer.has_method(&"get_connection_error"):
		var error: Dictionary = _peer.call(&"get_connection_error")
		_status = error.get("status", 0)
	var delay := _draw_delay()
	var seconds := (Time.get_ticks_msec() - _lost_at) / 1000.0 + delay
	var is_final := _is_within(_close_code, final_codes) or _is_within(_status, final_statuses)
	var is_last := (max_attempts > 0 and _attempt >= max_attempts) or (max_seconds > 0.0 and seconds > max_seconds)
	if is_final or is_last:
		_give_up()
		return
	var tree := Engine.get_main_loop() as SceneTree
	_timer = tree.create_timer(delay, true, false, true)
	_timer.timeout.connect(_on_waited)


func _on_waited() -> void:
	_timer = null
	if _goes_on():
		_try.call()


## Seconds until the attempt after [member _attempt].
func _draw_delay() -> float:
	return randf() * minf(max_delay, first_delay * pow(2.0, maxi(_attempt - 1, 0)))


## Whether it goes on; if not it lets go of everything.
func _goes_on() -> bool:
	if is_running():
		return true
	_release()
	return false


## Whether the connection is the one that has ended. A handler that came first may have called start: then the signal
## is of the connection before.
func _has_ended() -> bool:
	if not _goes_on() or _peer == null:
		return false
	return _peer.get_connection_status() == MultiplayerPeer.CONNECTION_DISCONNECTED


func _is_within(number: int, ranges: Array[Vector2i]) -> bool:
	return ranges.any(func(each: Vector2i) -> bool: return number >= each.x and number <= each.y)


func _forget_end() -> void:
	_close_code = -1
	_close_reason = ""
	_status = 0


func _give_up() -> void:
	_release()
	gave_up.emit()


func _release() -> void:
	_run += 1
	if _api != null:
		_api.connected_to_server.disconnect(_on_connected)
		_api.connection_failed.disconnect(_on_failed)
		_api.server_disconnected.disconnect(_on_lost)
	if _timer != null:
		_timer.timeout.disconnect(_on_waited)
		_timer = null
	if _peer != null and _peer.peer_disconnected.is_connected(_on_peer_disconnected):
		_peer.peer_disconnected.disconnect(_on_peer_disconnected)
	_peer = null
	_api = null
	_make_peer = Callable()
