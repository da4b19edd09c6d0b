extends SceneTree
## The helper that brings a client back to its server, with both classes on the client's side.
# timeout: 90

const Harness := preload("res://support/harness.gd")
const Branch := preload("res://support/branch.gd")
const SCRIPT := "res://addons/mio_websocket/mio_web_socket_reconnector.gd"
const Reconnector := preload(SCRIPT)
const WARNINGS := "debug/gdscript/warnings/"

class Maker extends Object:
	func make_peer() -> MultiplayerPeer:
		var peer := WebSocketMultiplayerPeer.new()
		peer.create_client("ws://127.0.0.1:1")
		return peer


var t := Harness.new()
## The client's class.
var _class := ""
var _port := 0
var _server: Branch
var _client: Branch
var _reconnector: Reconnector
## What the reconnector has signalled: numbers of attempts, "connected", "gave up".
var _told: Array = []


func _initialize() -> void:
	await process_frame
	t.begin(self, 80.0)
	if not t.ready():
		return
	for each: String in [t.client_class, Harness.BUILT_IN]:
		_class = each
		await _server_comes_goes_and_comes_back()
		await _codes()
		await _short_connections()
		await _stopped()
		await _another_peer()
	_class = t.client_class
	await _refusals()
	await _limits()
	await _nothing_to_connect_with()
	await _awaited()
	await _started_by_handlers()
	await _handlers()
	await _forgotten()
	_waits()
	await _no_warnings()
	t.finish()


## The whole story: nobody there, a server, a crash, a restart on the same port, and RPCs go through each time.
func _server_comes_goes_and_comes_back() -> void:
	_open()
	_reconnector.start(_client.api, _make_peer)
	t.equal("%s: the first attempt is made at once" % _class, _told, [1])
	t.check("more follow while nobody is there", await _until(func() -> bool: return _told.size() >= 4), _told)
	t.equal("with their numbers", _told.slice(0, 4), [1, 2, 3, 4])
	await _serve()
	t.check("it connects when somebody is", await _until(_is_connected), _told)
	for i in 3:
		_client.actor.reliable.rpc_id(1, i)
		var heard := func() -> bool: return _server.values("reliable") == [i]
		t.check("calls go through", await _until(heard), _server.actor.calls)
		_told.clear()
		if i == 2:
			break
		# close() of ours says 1001, a peer that is dropped nothing at all.
		await _end_server()
		t.check("it notices and tries again", await _until(func() -> bool: return _told.size() >= 2), _told)
		t.equal("the attempts are counted anew", _told.slice(0, 2), [1, 2])
		await _serve()
		t.check("it is back", await _until(_is_connected), _told)
	await _close()


## Codes that say whether to come back.
func _codes() -> void:
	for code: int in [1000, 1008, 4000, 4321, 4999]:
		var reason := "because of %d" % code
		await _connect()
		_told.clear()
		_tell_to_go(code, reason)
		t.check("it gives up after %d" % code, await _until(func() -> bool: return _told.has("gave up")), _told)
		await _frames(10)
		var why := [_reconnector.get_close_code(), _reconnector.get_close_reason()]
		t.equal("and says why", [_told, why], [["gave up"], [code, reason]])
		await _close()
	for code: int in [1001, 1012, 1013, 3999]:
		await _connect()
		_told.clear()
		_tell_to_go(code, "")
		t.check("it comes back after %d" % code, await _until(_is_connected), _told)
		await _close()
	await _connect()
	_reconnector.final_codes = [Vector2i(3000, 3100)]
	_tell_to_go(1000, "")
	_told.clear()
	t.check("which codes is the game's choice", await _until(_is_connected), _told)
	_tell_to_go(3050, "")
	t.check("for both sides of it", await _until(func() -> bool: return _told.has("gave up")), _told)
	await _close()


## A server that lets in and drops at once is not asked again and again as if all were well.
func _short_connections() -> void:
	await _connect()
	_reconnector.stable_seconds = 1000.0
	_told.clear()
	for i in 3:
		_tell_to_go(1001, "")
		_told.clear()
		await _until(_is_connected)
		t.equal("the count goes on after a short connection", _told[0], i + 2)
	await _close()


func _stopped() -> void:
	# While it connects.
	_open()
	_reconnector.start(_client.api, _make_peer)
	var peer := _client.peer()
	_reconnector.stop()
	t.equal("stop() ends an attempt", peer.get_connection_status(), Harness.DISCONNECTED)
	await _frames(10)
	t.equal("and there is no other", [_told, _reconnector.is_running()], [[1], false])
	# While it waits.
	_reconnector.first_delay = 1000.0
	_reconnector.max_delay = 1000.0
	_reconnector.start(_client.api, _make_peer)
	t.check("it waits", await _until(func() -> bool: return _reconnector.get_wait() > 0.0), _told)
	_reconnector.stop()
	t.equal("stop() ends a wait", [_reconnector.get_wait(), _reconnector.is_running()], [0.0, false])
	# A wait of before does not end in an attempt of now.
	_reconnector.max_delay = 0.3
	_reconnector.start(_client.api, _make_peer)
	await _until(func() -> bool: return _reconnector.get_wait() > 0.0)
	_reconnector.stop()
	_told.clear()
	_reconnector.max_delay = 1000.0
	_reconnector.start(_client.api, _make_peer)
	await _frames(30)
	t.equal("also when it is started again", _told, [1])
	_reconnector.stop()
	await _close()
	# While it is connected.
	await _connect()
	_reconnector.stop()
	_told.clear()
	_client.actor.reliable.rpc_id(1, "still here")
	var heard := func() -> bool: return _server.values("reliable") == ["still here"]
	t.check("stop() leaves a connection alone", await _until(heard), _client.events)
	await _end_server()
	t.check("its end is the game's to see", await _until(func() -> bool: return _client.events.has("server gone")))
	await _frames(10)
	t.equal("it is not connected again", _told, [])
	_reconnector.stop()
	await _close()


## A game that sets another peer means it.
func _another_peer() -> void:
	await _connect()
	_client.peer().close()
	_client.api.multiplayer_peer = OfflineMultiplayerPeer.new()
	_told.clear()
	await _frames(10)
	t.equal("another peer instead of a connection", [_told, _reconnector.is_running()], [[], false])
	await _close()
	_open()
	_reconnector.first_delay = 0.2
	_reconnector.start(_client.api, _make_peer)
	await _until(func() -> bool: return _reconnector.get_wait() > 0.0)
	_client.api.multiplayer_peer = OfflineMultiplayerPeer.new()
	t.check("another peer during a wait", await _until(func() -> bool: return not _reconnector.is_running()), _told)
	t.check("which stays", _client.peer() is OfflineMultiplayerPeer, _client.peer())
	await _close()


## What a server of ours answers instead of letting in.
func _refusals() -> void:
	_open()
	await _serve()
	var server: MultiplayerPeer = _server.peer()
	server.allowed_paths = PackedStringArray(["/elsewhere"])
	t.expect_error("the server's answer cannot be used")
	_reconnector.start(_client.api, _make_peer)
	t.check("it gives up after 404", await _until(func() -> bool: return _told.has("gave up")), _told)
	t.equal("and says why", [_told, _reconnector.get_status()], [[1, "gave up"], 404])
	_told.clear()
	server.allowed_paths = PackedStringArray()
	server.begin_drain(1000.0)
	_reconnector.start(_client.api, _make_peer)
	t.check("it comes again after 503", await _until(func() -> bool: return _told.size() >= 3), _told)
	server.cancel_drain()
	t.check("until it gets in", await _until(_is_connected), _told)
	t.equal("then there is no status", _reconnector.get_status(), 0)
	await _close()


func _limits() -> void:
	_open()
	_reconnector.max_attempts = 3
	_reconnector.start(_client.api, _make_peer)
	t.check("max_attempts", await _until(func() -> bool: return _told.has("gave up")), _told)
	await _frames(10)
	t.equal("are made, and no more", [_told, _reconnector.is_running()], [[1, 2, 3, "gave up"], false])
	_told.clear()
	_reconnector.start(_client.api, _make_peer)
	t.check("it can be started again", await _until(func() -> bool: return _told.has("gave up")), _told)
	t.equal("with its numbers from the start", _told, [1, 2, 3, "gave up"])
	_told.clear()
	_reconnector.max_attempts = 0
	_reconnector.max_seconds = 0.2
	_reconnector.start(_client.api, _make_peer)
	t.check("max_seconds", await _until(func() -> bool: return _told.has("gave up")), _told)
	t.check("are used", _told.size() > 2, _told)
	await _close()


func _nothing_to_connect_with() -> void:
	_open()
	_reconnector.start(_client.api, func() -> MultiplayerPeer: return null)
	t.equal("no peer to connect with", _told, [1, "gave up"])
	_told.clear()
	_reconnector.start(_client.api, func() -> MultiplayerPeer: return t.new_client())
	t.equal("a peer that does not connect", _told, [1, "gave up"])
	_told.clear()
	_reconnector.start(_client.api, func() -> RefCounted: return RefCounted.new())
	t.equal("something that is no peer", [_told, _reconnector.is_running()], [[1, "gave up"], false])
	t.expect_error("make_peer returned no MultiplayerPeer")
	_told.clear()
	var maker := Maker.new()
	_reconnector.start(_client.api, maker.make_peer)
	maker.free()
	var gave_up := await _until(func() -> bool: return _told.has("gave up"))
	t.check("whoever makes the peers has gone", gave_up and not _reconnector.is_running(), _told)
	t.expect_error("make_peer cannot be called")
	await _close()


## A peer for which something has to be asked first.
func _awaited() -> void:
	_open()
	await _serve()
	var make := func() -> MultiplayerPeer:
		await process_frame
		return _make_peer()
	_reconnector.start(_client.api, make)
	t.check("make_peer may wait", await _until(_is_connected), _told)
	_told.clear()
	_reconnector.start(_client.api, make)
	_reconnector.stop()
	await _frames(5)
	t.equal("and is stopped meanwhile", [_told, _reconnector.is_running()], [[1], false])
	_told.clear()
	_reconnector.start(_client.api, make)
	var own := t.new_client()
	own.create_client(t.url(_port))
	_client.api.multiplayer_peer = own
	await _frames(5)
	t.check("a peer that the game sets meanwhile stays", _client.api.multiplayer_peer == own and not _reconnector.is_running())
	await _close()


## A game that starts it from its own handlers, which come before those of the reconnector.
func _started_by_handlers() -> void:
	_open()
	_client.api.connection_failed.connect(func() -> void: _reconnector.start(_client.api, _make_peer), CONNECT_ONE_SHOT)
	_client.api.server_disconnected.connect(func() -> void: _reconnector.start(_client.api, _make_peer))
	_reconnector.max_attempts = 1
	_reconnector.start(_client.api, _make_peer)
	t.check("from connection_failed", await _until(func() -> bool: return _told.has("gave up")), _told)
	t.equal("the attempt is not taken for the one before", _told, [1, 1, "gave up"])
	_reconnector.max_attempts = 0
	await _serve()
	_reconnector.start(_client.api, _make_peer)
	t.check("it connects", await _until(_is_connected), _told)
	_told.clear()
	_tell_to_go(1001, "")
	t.check("from server_disconnected", await _until(_is_connected), _told)
	await _frames(20)
	t.equal("the connection stays", _told, [1, "connected"])
	await _close()


func _handlers() -> void:
	_open()
	_reconnector.connecting.connect(func(_attempt: int) -> void: _reconnector.stop(), CONNECT_ONE_SHOT)
	_reconnector.start(_client.api, _make_peer)
	t.equal("a handler stops it before the attempt", [_told, _reconnector.is_running()], [[1], false])
	t.check("so that there is none", _client.peer() == null, _client.peer())
	_told.clear()
	_reconnector.max_attempts = 1
	var again := func() -> void: _reconnector.start(_client.api, _make_peer)
	_reconnector.gave_up.connect(again, CONNECT_ONE_SHOT)
	_reconnector.start(_client.api, _make_peer)
	t.check("a handler starts anew", await _until(func() -> bool: return _told.count("gave up") == 2), _told)
	t.equal("once", _told, [1, "gave up", 1, "gave up"])
	await _close()


## Whoever lets go of it does not have to stop it.
func _forgotten() -> void:
	_open()
	_reconnector.start(_client.api, _make_peer)
	await _until(func() -> bool: return _reconnector.get_wait() > 0.0)
	var count := _told.size()
	var weak: WeakRef = weakref(_reconnector)
	_reconnector = null
	t.check("it goes when nobody holds it", weak.get_ref() == null)
	await _frames(20)
	t.equal("and tries no more", _told.size(), count)
	await _close()


## Full jitter: from 0 to a limit that doubles up to another.
func _waits() -> void:
	var reconnector := Reconnector.new()
	t.equal("default waits", [reconnector.first_delay, reconnector.max_delay], [1.0, 30.0])
	for case: Array in [[0, 1.0], [1, 1.0], [2, 2.0], [5, 16.0], [6, 30.0], [5000, 30.0]]:
		reconnector._attempt = case[0]
		var least := INF
		var most := 0.0
		for i in 2000:
			var delay: float = reconnector._draw_delay()
			least = minf(least, delay)
			most = maxf(most, delay)
		var limit: float = case[1]
		t.check(
			"waits after %d attempts are anything up to %s" % case,
			least >= 0.0 and least < 0.1 * limit and most > 0.9 * limit and most <= limit,
			[least, most]
		)


## Games that treat warnings as errors can use it.
func _no_warnings() -> void:
	ProjectSettings.set_setting(WARNINGS + "exclude_addons", false)
	ProjectSettings.set_setting(WARNINGS + "directory_rules", {})
	for property in ProjectSettings.get_property_list():
		var name: String = property.name
		if name.begins_with(WARNINGS) and property.type == TYPE_INT:
			ProjectSettings.set_setting(name, 2)
	# Declarations with := are typed, and connect() fails only for a script that is wrong.
	for name: String in ["inferred_declaration", "return_value_discarded"]:
		ProjectSettings.set_setting(WARNINGS + name, 0)
	# Then the engine has seen them.
	await process_frame
	await process_frame
	var script := GDScript.new()
	script.source_code = FileAccess.get_file_as_string(SCRIPT).replace("class_name MioWebSocketReconnector\n", "")
	t.equal("it has no warnings", script.reload(), OK)


func _open() -> void:
	_told = []
	var told := _told
	_port = _lasting_port()
	_client = Branch.create(self, "Client", null)
	_reconnector = Reconnector.new()
	_reconnector.first_delay = 0.02
	_reconnector.max_delay = 0.05
	_reconnector.stable_seconds = 0.0
	_reconnector.connecting.connect(func(attempt: int) -> void: told.append(attempt))
	_reconnector.connected.connect(func() -> void: told.append("connected"))
	_reconnector.gave_up.connect(func() -> void: told.append("gave up"))


## Below those that the system gives to clients, one of which could have it when the server starts again.
func _lasting_port() -> int:
	var probe := TCPServer.new()
	var port := 0
	while not probe.is_listening():
		port = randi_range(20000, 30000)
		probe.listen(port, "127.0.0.1")
	probe.stop()
	return port


## Opens everything and waits for the connection.
func _connect() -> void:
	_open()
	await _serve()
	_reconnector.start(_client.api, _make_peer)
	if not await _until(_is_connected):
		t.check("it connects", false, _told)


func _close() -> void:
	if _reconnector != null:
		_reconnector.stop()
	await _end_server()
	_client.retire()
	await process_frame


func _make_peer() -> MultiplayerPeer:
	var peer: MultiplayerPeer = ClassDB.instantiate(_class)
	return peer if peer.create_client(t.url(_port)) == OK else null


func _serve() -> void:
	var peer := t.new_server()
	peer.create_server(_port, "127.0.0.1")
	_server = Branch.create(self, "Server", peer)
	# The same path on both sides, for the calls.
	await process_frame


func _end_server() -> void:
	if _server != null:
		_server.retire()
		_server = null
		await process_frame


func _tell_to_go(code: int, reason: String) -> void:
	for id in _server.api.get_peers():
		_server.peer().get_peer(id).close(code, reason)


func _is_connected() -> bool:
	return _told.has("connected") and _server.api.get_peers().size() == 1


## Lets frames pass, and so the timers of the tree, and polls both sides, until `condition` holds.
func _until(condition: Callable, limit_ms := 5000) -> bool:
	var end := Time.get_ticks_msec() + limit_ms
	while not condition.call():
		if Time.get_ticks_msec() > end:
			return false
		await _frames(1)
	return true


func _frames(count: int) -> void:
	for i in count:
		await process_frame
		for branch: Branch in [_server, _client]:
			if branch != null:
				branch.poll()
