extends SceneTree
## What games do while they are connected and the tree polls: peers are swapped, dropped and used again, the tree is
## paused, a branch is freed, a newcomer is sent away at once.

const Harness := preload("res://support/harness.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()
var port := 0
var server: Branch
var client: Branch


func _initialize() -> void:
	await process_frame
	t.begin(self, 30.0)
	if not t.ready():
		return
	port = t.free_port()
	var peer := t.new_server()
	peer.create_server(port, "127.0.0.1")
	server = Branch.create(self, "Server", peer)
	client = Branch.create(self, "Client", _client_peer())
	multiplayer_poll = true
	await _until("a client joins", _is_joined)
	await _offline_and_back()
	await _paused()
	await _dropped()
	await _replaced_while_connecting()
	await _used_again_after_a_failure()
	await _sent_away_on_arrival()
	await _branch_freed()
	server.retire()
	server = null
	# The process ends while somebody connects to a port where nobody answers yet.
	var listener := TCPServer.new()
	listener.listen(port, "127.0.0.1")
	set_meta("connecting", _client_peer())
	t.finish()


## The connection is kept by whoever holds the peer.
func _offline_and_back() -> void:
	var peer := client.peer()
	client.api.multiplayer_peer = OfflineMultiplayerPeer.new()
	await _frames(10)
	t.check("a peer that is swapped out stays connected", peer.get_connection_status() == Harness.CONNECTED)
	t.check("nobody is told of the swap", server.api.get_peers().size() == 1)
	# SceneMultiplayer forgets whom it knew, so a game connects anew.
	peer.close()
	client.api.multiplayer_peer = _client_peer()
	await _until("a new peer joins after the swap", _is_joined)


func _paused() -> void:
	paused = true
	client.actor.reliable.rpc_id(1, "paused")
	await _until("RPCs arrive while the tree is paused", func() -> bool: return "paused" in server.values("reliable"))
	paused = false


func _dropped() -> void:
	client.api.multiplayer_peer = null
	await _until("multiplayer_peer = null ends the connection", _is_alone)


func _replaced_while_connecting() -> void:
	for i in 3:
		client.api.multiplayer_peer = _client_peer()
		client.api.multiplayer_peer = null
	client.api.multiplayer_peer = _client_peer()
	await _until("the last of four clients of a frame joins", _is_joined)
	await _frames(10)
	t.equal("the others have never been peers", server.api.get_peers().size(), 1)
	await _dropped()


func _used_again_after_a_failure() -> void:
	var peer := t.new_client()
	peer.create_client(t.url(t.free_port()))
	client.events.clear()
	client.api.multiplayer_peer = peer
	await _until("connection_failed where nobody listens", func() -> bool: return "failed" in client.events)
	t.equal("the peer can be created again", peer.create_client(t.url(port)), OK)
	client.api.multiplayer_peer = null
	client.api.multiplayer_peer = peer
	await _until("it joins", _is_joined)
	peer = null
	await _dropped()


## What was sent before the end is delivered, so the client knows that it has been in.
func _sent_away_on_arrival() -> void:
	server.api.peer_connected.connect(server.api.disconnect_peer, CONNECT_ONE_SHOT)
	client.events.clear()
	client.api.multiplayer_peer = _client_peer()
	await _until("server_disconnected", func() -> bool: return "server gone" in client.events)
	var told: Array[String] = ["connected", "+1", "-1", "server gone"]
	t.equal("who is sent away has been connected", client.events, told)
	client.api.multiplayer_peer = null


func _branch_freed() -> void:
	client.api.multiplayer_peer = _client_peer()
	await _until("a client joins again", _is_joined)
	var path := client.get_path()
	client.free()
	client = null
	set_multiplayer(null, path)
	await _until("a freed branch leaves", _is_alone)


func _client_peer() -> MultiplayerPeer:
	var peer := t.new_client()
	peer.create_client(t.url(port))
	return peer


func _is_joined() -> bool:
	return client.api.get_peers() == PackedInt32Array([1]) and server.api.get_peers().size() == 1


func _is_alone() -> bool:
	return server.api.get_peers().is_empty()


func _frames(count: int) -> void:
	for i in count:
		await process_frame


func _until(name: String, condition: Callable) -> void:
	var end := Time.get_ticks_msec() + 4000
	while not condition.call() and Time.get_ticks_msec() < end:
		await process_frame
	t.check(name, condition.call())
