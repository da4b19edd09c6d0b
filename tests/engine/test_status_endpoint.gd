extends SceneTree
## The status endpoint, asked by the engine's own HTTPClient while the peer is polled.

const Harness := preload("res://support/harness.gd")

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	_arguments()
	_answers()
	_readiness()
	_survives()
	t.finish()


func _arguments() -> void:
	var peer := t.new_server()
	t.equal("no endpoint, no port", peer.get_status_endpoint_port(), 0)
	peer.close_status_endpoint()
	for port: int in [-1, 65536]:
		t.expect_error("create_status_endpoint: port %d is not in the range" % port)
		t.equal("port %d" % port, peer.create_status_endpoint(port), ERR_INVALID_PARAMETER)
	t.expect_error("create_status_endpoint: cannot bind to `localhost`")
	t.equal("a name is no address", peer.create_status_endpoint(0, "localhost"), ERR_INVALID_PARAMETER)
	t.equal("a port of the system's choice", peer.create_status_endpoint(0), OK)
	var port: int = peer.get_status_endpoint_port()
	t.check("which one is known", port > 0)
	t.expect_error("create_status_endpoint: the status endpoint is there already")
	t.equal("one at a time", peer.create_status_endpoint(0), ERR_ALREADY_IN_USE)
	var other := t.new_server()
	t.expect_error("create_status_endpoint: cannot listen on 127.0.0.1:%d" % port)
	t.equal("an address is taken once", other.create_status_endpoint(port), ERR_ALREADY_IN_USE)
	peer.close_status_endpoint()
	t.equal("then it is free", other.create_status_endpoint(port), OK)
	t.equal("and the first has none", peer.get_status_endpoint_port(), 0)


func _answers() -> void:
	var net := t.connect_net(2)
	var server: MultiplayerPeer = net.server
	server.create_status_endpoint(0)
	net.clients[0].put_packet(t.bytes(100))
	t.pump(net.all, func() -> bool: return server.get_available_packet_count() == 1)
	t.equal("health", _ask(server, "/healthz"), [200, "ok\n"])
	t.equal("readiness", _ask(server, "/readyz"), [200, "ready\n"])
	t.equal("elsewhere there is nothing", _ask(server, "/")[0], 404)
	t.equal("nothing can be posted", _ask(server, "/metrics", HTTPClient.METHOD_POST)[0], 405)
	var metrics: Array = _ask(server, "/metrics")
	t.equal("metrics", metrics[0], 200)
	for line: String in [
		"# TYPE mio_websocket_peers gauge",
		"mio_websocket_peers 2",
		"# TYPE mio_websocket_received_bytes_total counter",
		"mio_websocket_received_bytes_total 100",
		"mio_websocket_handshakes_total{result=\"joined\"} 2",
	]:
		t.check("metrics: " + line, metrics[1].split("\n").has(line), metrics[1])
	t.equal("who watches is no player", server.get_stats().accepted, 2)
	t.check("players play on", t.talks(net))
	t.close_net(net)


func _readiness() -> void:
	var net := t.connect_net(1)
	var server: MultiplayerPeer = net.server
	server.create_status_endpoint(0)
	server.max_clients = 1
	t.equal("full", _ask(server, "/readyz"), [503, "full\n"])
	server.max_clients = 2
	t.equal("not full", _ask(server, "/readyz")[0], 200)
	server.refuse_new_connections = true
	t.equal("refusing", _ask(server, "/readyz"), [503, "refusing new connections\n"])
	server.refuse_new_connections = false
	t.equal("a client is never ready", _ask_client(net.clients[0]), [503, "not listening\n"])
	t.close_net(net)


func _survives() -> void:
	var peer := t.new_server()
	var port := t.free_port()
	peer.create_server(port, "127.0.0.1")
	peer.create_status_endpoint(0)
	var endpoint: int = peer.get_status_endpoint_port()
	t.equal("ready", _ask(peer, "/readyz")[0], 200)
	peer.close()
	t.equal("closed", _ask(peer, "/readyz"), [503, "not listening\n"])
	t.equal("but healthy", _ask(peer, "/healthz")[0], 200)
	peer.create_server(port, "127.0.0.1")
	t.equal("ready again", _ask(peer, "/readyz")[0], 200)
	t.equal("at the same place", peer.get_status_endpoint_port(), endpoint)
	peer = null
	var taken := TCPServer.new()
	t.equal("freed with its peer", taken.listen(endpoint, "127.0.0.1"), OK)


func _ask_client(client: MultiplayerPeer) -> Array:
	client.create_status_endpoint(0)
	return _ask(client, "/readyz")


## Status and body of an answer; the peer is polled meanwhile.
func _ask(peer: MultiplayerPeer, path: String, method := HTTPClient.METHOD_GET) -> Array:
	var http := HTTPClient.new()
	http.connect_to_host("127.0.0.1", peer.get_status_endpoint_port())
	var is_at := func(status: HTTPClient.Status) -> bool:
		http.poll()
		return http.get_status() == status
	if not t.pump([peer], is_at.bind(HTTPClient.STATUS_CONNECTED)):
		return [-1, "no connection"]
	http.request(method, path, [])
	if not t.pump([peer], is_at.bind(HTTPClient.STATUS_BODY)):
		return [-2, "no answer"]
	var code := http.get_response_code()
	var body := PackedByteArray()
	var read := func() -> bool:
		http.poll()
		if http.get_status() == HTTPClient.STATUS_BODY:
			body.append_array(http.read_response_body_chunk())
		return body.size() == http.get_response_body_length()
	t.pump([peer], read)
	return [code, body.get_string_from_utf8()]
