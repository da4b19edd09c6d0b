extends SceneTree
## Why a client has no connection: phase, cause, and what the server said; times for single phases.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self, 25.0)
	if not t.ready():
		return
	_nobody_there()
	_refused()
	_no_tls()
	_shown_out()
	_lost()
	_no_error()
	_times()
	_settings()
	t.finish()


func _failed(client: MultiplayerPeer) -> Callable:
	return func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED


## What a client says that connects to `url`.
func _error(url: String, others: Array = [], tls: TLSOptions = null) -> Dictionary:
	var client := t.new_client()
	t.equal("create_client for %s" % url.get_slice("/", 0), client.create_client(url, tls), OK)
	t.pump([client] + others, _failed(client), 5000)
	return client.get_connection_error()


func _check(name: String, error: Dictionary, phase: String, status := 0, body := "") -> void:
	t.equal(name, [error.get("phase"), error.get("status"), error.get("body")], [phase, status, body])
	t.check("%s: a message" % name, str(error.get("message", "")).length() > 5, error)


func _nobody_there() -> void:
	_check("nobody listens", _error(t.url(t.free_port())), "connect")
	_check("no such name", _error("ws://no-such-name.invalid/"), "resolve")
	_check("a dead ::1 and nobody else", _error("ws://localhost:%d" % t.free_port()), "connect")


func _refused() -> void:
	t.expect_error("the server answered with HTTP status")
	var server := t.new_server()
	server.allowed_paths = ["/play"]
	server.create_server(0, "127.0.0.1")
	var error := _error("ws://127.0.0.1:%d/other" % server.get_local_port(), [server])
	t.equal("a path that is not allowed", [error.phase, error.status], ["upgrade", 404])
	t.check("with the server's words", not error.body.is_empty(), error)
	server.close()
	for case: Array in [
		["a body with a length", "HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nBanned é", 403, "Banned é"],
		["a body in chunks", "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfull\r\n0\r\n\r\n", 503, "full"],
		["no body", "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", 401, ""],
		["a body without an end", "HTTP/1.1 500 No\r\n\r\nsorry", 500, "sorry"],
		["a huge body", "HTTP/1.1 500 No\r\n\r\n" + "x".repeat(100000), 500, "x".repeat(4096)],
	]:
		var listener := TCPServer.new()
		listener.listen(0, "127.0.0.1")
		var client := t.new_client()
		client.create_client(t.url(listener.get_local_port()))
		var raw := Raw.accept(listener, [client])
		raw.read_head([client])
		raw.send_text(case[1])
		t.check("%s: it ends in time" % case[0], t.pump([client], _failed(client), 1500))
		_check(case[0], client.get_connection_error(), "upgrade", case[2], case[3])


func _no_tls() -> void:
	t.expect_error("does the server speak TLS?")
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	client.create_client("wss://127.0.0.1:%d" % listener.get_local_port(), TLSOptions.client_unsafe())
	var raw := Raw.accept(listener, [client])
	raw.wait([client], func() -> bool: return not raw.inbox.is_empty())
	raw.tcp.disconnect_from_host()
	t.pump([client], _failed(client))
	_check("a server without TLS", client.get_connection_error(), "tls")


func _shown_out() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	var events := t.record(client)
	client.create_client(t.url(listener.get_local_port()))
	var raw := Raw.serve(listener, [client], 0)
	raw.send_frame(Raw.CLOSE, PackedByteArray([0x0f, 0xa1]) + "banned".to_utf8_buffer())
	t.pump([client], _failed(client))
	_check("closed before the id", client.get_connection_error(), "id")
	var message: String = client.get_connection_error().message
	t.check("with code and reason", message.contains("4001") and message.contains("banned"), message)
	t.equal("and no signals", events, [] as Array[String])


func _lost() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	var during := []
	client.create_client(t.url(listener.get_local_port()))
	client.peer_disconnected.connect(func(_id: int) -> void: during.append(client.get_connection_error().get("phase")))
	var raw := Raw.serve(listener, [client])
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	t.equal("connected: no error", client.get_connection_error(), {})
	raw.tcp.disconnect_from_host()
	t.pump([client], _failed(client))
	_check("a server that is lost", client.get_connection_error(), "open")
	t.equal("known in the handler", during, ["open"])
	client.close()
	_check("still known after close()", client.get_connection_error(), "open")
	client.create_client(t.url(t.free_port()))
	t.equal("and forgotten with the next try", client.get_connection_error(), {})
	t.retire([client])


func _no_error() -> void:
	var net := t.connect_net()
	t.equal("a server has none", net.server.get_connection_error(), {})
	net.server.close()
	t.pump(net.clients, _failed(net.clients[0]))
	t.equal("a server that closed", net.clients[0].get_connection_error(), {})
	t.close_net(net)
	var client := t.new_client()
	t.equal("one that never tried", client.get_connection_error(), {})
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	client.create_client(t.url(listener.get_local_port()))
	client.poll()
	client.disconnect_peer(1)
	t.pump([client], _failed(client))
	t.equal("one that gave up by itself", client.get_connection_error(), {})


func _times() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	for phase: String in ["upgrade", "tls"]:
		var client := t.new_client()
		client.handshake_timeout = 60.0
		client.set(phase + "_timeout", 0.2)
		var scheme := "wss" if phase == "tls" else "ws"
		client.create_client("%s://127.0.0.1:%d" % [scheme, listener.get_local_port()], TLSOptions.client_unsafe())
		t.check("%s_timeout ends it" % phase, t.pump([client], _failed(client), 5000))
		_check("%s_timeout" % phase, client.get_connection_error(), phase)
	var client := t.new_client()
	client.connect_timeout = 0.01
	client.upgrade_timeout = 10.0
	client.create_client(t.url(listener.get_local_port()))
	t.spin([client], 100)
	t.equal("a phase that is over has no limit", client.get_connection_status(), Harness.CONNECTING)
	client.close()


func _settings() -> void:
	var peer := t.new_client()
	for phase: String in ["resolve", "connect", "tls", "upgrade"]:
		var property := phase + "_timeout"
		t.equal("%s is off" % property, peer.get(property), 0.0)
		t.expect_error("%s: the time must be 0 seconds or more" % property)
		for bad: float in [-1.0, NAN, INF]:
			peer.set(property, bad)
		t.equal("%s cannot be negative" % property, peer.get(property), 0.0)
		peer.set(property, 1.5)
		t.equal("%s is kept" % property, peer.get(property), 1.5)
