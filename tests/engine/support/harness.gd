@tool
extends RefCounted
## What every engine test uses: assertions, a watchdog, peers by class name, polling with a limit.
##
## PEER_CLASS names the class under test; SERVER_CLASS and CLIENT_CLASS override it for one side.
## A test prints `PASS name` or `FAIL name: why` for each group of assertions and ends with 0 or 1.
## Error lines of the engine that a test provokes are announced by `EXPECT_ERROR substring`; whoever runs the test
## compares them with the log.

const BUILT_IN := "WebSocketMultiplayerPeer"

const DISCONNECTED := MultiplayerPeer.CONNECTION_DISCONNECTED
const CONNECTING := MultiplayerPeer.CONNECTION_CONNECTING
const CONNECTED := MultiplayerPeer.CONNECTION_CONNECTED

var peer_class := "MioWebSocketMultiplayerPeer"
var server_class := ""
var client_class := ""

var _tree: SceneTree
var _failed := 0
var _passed := 0
var _watchdog := Thread.new()
var _done := Semaphore.new()


func begin(tree: SceneTree, limit_seconds := 15.0) -> void:
	_tree = tree
	Engine.max_fps = 60
	peer_class = _environment("PEER_CLASS", peer_class)
	server_class = _environment("SERVER_CLASS", peer_class)
	client_class = _environment("CLIENT_CLASS", peer_class)
	_watchdog.start(_watch.bind(limit_seconds))
	for name: String in [server_class, client_class]:
		if not ClassDB.class_exists(name):
			check("the class %s exists" % name, false, "it does not")
			finish()


## False where the test should not even start.
func ready() -> bool:
	return _failed == 0


func check(name: String, condition: bool, why: Variant = "") -> bool:
	if condition:
		_passed += 1
		print("PASS ", name)
	else:
		_failed += 1
		print("FAIL %s: %s" % [name, str(why).replace("\n", " ").left(400)])
	return condition


func equal(name: String, got: Variant, wanted: Variant) -> bool:
	# Compared with their types, so that 1 and true differ.
	var same: bool = typeof(got) == typeof(wanted) and got == wanted
	return check(name, same, "got %s, wanted %s" % [got, wanted])


func expect_error(substring: String) -> void:
	print("EXPECT_ERROR ", substring)


func finish() -> void:
	if _watchdog.is_started():
		_done.post()
		_watchdog.wait_to_finish()
	print("%d passed, %d failed" % [_passed, _failed])
	_tree.quit(0 if _failed == 0 else 1)


func new_server() -> MultiplayerPeer:
	return ClassDB.instantiate(server_class)


func new_client() -> MultiplayerPeer:
	return ClassDB.instantiate(client_class)


func free_port(address := "127.0.0.1") -> int:
	var probe := TCPServer.new()
	probe.listen(0, address)
	var port := probe.get_local_port()
	probe.stop()
	return port


func url(port: int) -> String:
	return "ws://127.0.0.1:%d" % port


## Polls all of `list` until `condition` holds; false where it does not in time.
func pump(list: Array, condition: Callable, limit_ms := 3000) -> bool:
	var end := Time.get_ticks_msec() + limit_ms
	while true:
		for each in list:
			each.poll()
		if condition.call():
			return true
		if Time.get_ticks_msec() > end:
			return false
		OS.delay_msec(1)
	return false


func spin(list: Array, for_ms := 50) -> void:
	pump(list, func() -> bool: return false, for_ms)


## Time for bytes to cross the loopback while nobody polls.
func settle(ms := 30) -> void:
	OS.delay_msec(ms)


## A server and `count` clients that are connected to it: {server, port, clients, ids, all}.
## `configure(peer, is_server)` runs before create_*.
func connect_net(count := 1, configure := Callable()) -> Dictionary:
	var server := new_server()
	if configure.is_valid():
		configure.call(server, true)
	var port := free_port()
	server.create_server(port, "127.0.0.1")
	var net := {"server": server, "port": port, "clients": [], "ids": [], "all": [server]}
	for i in count:
		var client := new_client()
		if configure.is_valid():
			configure.call(client, false)
		add_client(net, client)
	return net


func add_client(net: Dictionary, client: MultiplayerPeer) -> bool:
	client.create_client(url(net.port))
	net.clients.append(client)
	net.all.append(client)
	var joined := [0]
	var note := func(id: int) -> void: joined[0] = id
	net.server.peer_connected.connect(note)
	var both := func() -> bool: return client.get_connection_status() == CONNECTED and joined[0] != 0
	var done := pump(net.all, both)
	net.server.peer_connected.disconnect(note)
	net.ids.append(client.get_unique_id())
	if not done:
		check("a client connects", false, "it does not")
	return done


func close_net(net: Dictionary) -> void:
	retire(net.all)


## Closes peers and disconnects their signals: a handler that holds its own peer would keep both alive for ever.
func retire(peers: Array) -> void:
	for peer: MultiplayerPeer in peers:
		peer.close()
		for event: Signal in [peer.peer_connected, peer.peer_disconnected]:
			for connection in event.get_connections():
				event.disconnect(connection.callable)


## Both directions between the server and its client number `index` work.
func talks(net: Dictionary, index := 0) -> bool:
	var client: MultiplayerPeer = net.clients[index]
	var token := PackedByteArray([randi() & 255, 1, 2, 3])
	net.server.set_target_peer(client.get_unique_id())
	if net.server.put_packet(token) != OK or client.put_packet(token) != OK:
		return false
	return (
		pump([net.server, client], _took.bind(client, token), 2000)
		and pump([net.server, client], _took.bind(net.server, token), 2000)
	)


## All packets that are queued now.
func take(peer: PacketPeer) -> Array[PackedByteArray]:
	var packets: Array[PackedByteArray] = []
	while peer.get_available_packet_count() > 0:
		var packet := peer.get_packet()
		if peer.get_packet_error() != OK:
			break
		packets.append(packet)
	return packets


func bytes(size: int, seed := 0) -> PackedByteArray:
	var result := PackedByteArray()
	result.resize(size)
	for i in size:
		result[i] = (i * 31 + seed) & 255
	return result


## Numbered packets, so that a gap or a swap shows.
func numbered(number: int, size := 4) -> PackedByteArray:
	var packet := PackedByteArray()
	packet.resize(maxi(size, 4))
	packet.encode_u32(0, number)
	return packet


## Records both signals of `peer` as text: "+id" and "-id".
func record(peer: MultiplayerPeer) -> Array[String]:
	var events: Array[String] = []
	peer.peer_connected.connect(func(id: int) -> void: events.append("+%d" % id))
	peer.peer_disconnected.connect(func(id: int) -> void: events.append("-%d" % id))
	return events


func _took(peer: MultiplayerPeer, token: PackedByteArray) -> bool:
	return take(peer).has(token)


# A script error ends the function that should have called finish(), and a call that never returns ends everything.
func _watch(limit_seconds: float) -> void:
	var end := Time.get_ticks_msec() + int(limit_seconds * 1000.0)
	while not _done.try_wait():
		if Time.get_ticks_msec() > end:
			print("FAIL the test ends in time: not after %s s" % limit_seconds)
			_tree.quit.call_deferred(1)
			OS.delay_msec(2000)
			# Still here: the main thread does not come back.
			if not _done.try_wait():
				OS.kill(OS.get_process_id())
			return
		OS.delay_msec(20)


func _environment(name: String, default: String) -> String:
	var value := OS.get_environment(name)
	return default if value.is_empty() else value
