extends SceneTree
## Which addresses a server takes, how addresses are written, and how a client finds its way.

const Harness := preload("res://support/harness.gd")

const V6_LOOPBACK := "0:0:0:0:0:0:0:1"

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	t.expect_error("cannot bind to")
	var probe := TCPServer.new()
	if probe.listen(0, "::1") != OK:
		# Containers often come without it; nothing below can be seen there.
		print("there is no IPv6 here: nothing is checked")
		t.finish()
		return
	probe.stop()

	_binds("*", true, true)
	_binds("0.0.0.0", true, false)
	_binds("127.0.0.1", true, false)
	_binds("::", false, true)
	_binds("::1", false, true)
	_binds(V6_LOOPBACK, false, true)
	for address: String in ["", "localhost", "example.invalid", "127.0.0.1.5", "[::1]", "127.0.0.1:80"]:
		var server := t.new_server()
		t.equal(
			"create_server on '%s': error, status" % address,
			[server.create_server(t.free_port(), address), server.get_connection_status()],
			[ERR_INVALID_PARAMETER, Harness.DISCONNECTED]
		)
	_localhost("127.0.0.1", "127.0.0.1")
	if IP.resolve_hostname_addresses("localhost").has(V6_LOOPBACK):
		_localhost("::1", V6_LOOPBACK)
	_port_zero()
	_port_taken()
	t.finish()


func _binds(address: String, takes_v4: bool, takes_v6: bool) -> void:
	var server := t.new_server()
	var port := t.free_port()
	var error: Error = server.create_server(port, address)
	t.equal("bind to %s" % address, error, OK)
	for v6: bool in [false, true]:
		var client := t.new_client()
		client.handshake_timeout = 0.5
		var seen := []
		var events := t.record(server)
		client.create_client(("ws://[::1]:%d" if v6 else "ws://127.0.0.1:%d") % port)
		t.pump(
			[server, client],
			func() -> bool: return not events.is_empty() or client.get_connection_status() == Harness.DISCONNECTED,
			1000
		)
		t.pump([server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING, 1000)
		var id := client.get_unique_id()
		if client.get_connection_status() == Harness.CONNECTED:
			seen = [
				server.get_peer_address(id),
				client.get_peer_address(1),
				server.get_peer_port(id) != port,
				client.get_peer_port(1) == port
			]
		var text := V6_LOOPBACK if v6 else "127.0.0.1"
		var reached := takes_v6 if v6 else takes_v4
		t.equal(
			"%s reached by %s: addresses and ports" % [address, "IPv6" if v6 else "IPv4"],
			seen,
			[text, text, true, true] if reached else []
		)
		t.retire([client])
		t.spin([server], 10)
	t.retire([server])


func _localhost(address: String, seen: String) -> void:
	var server := t.new_server()
	var port := t.free_port(address)
	server.create_server(port, address)
	var client := t.new_client()
	client.create_client("ws://localhost:%d" % port)
	t.pump([server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED, 4000)
	t.equal(
		"localhost finds a server that has only %s" % address,
		[client.get_connection_status(), client.get_peer_address(1) if client.get_unique_id() != 0 else ""],
		[Harness.CONNECTED, seen]
	)
	t.retire([client, server])


func _port_zero() -> void:
	var server := t.new_server()
	if not t.check("there is get_local_port", server.has_method(&"get_local_port"), "there is not"):
		return
	var before: int = server.call(&"get_local_port")
	var error: Error = server.create_server(0, "127.0.0.1")
	var port: int = server.call(&"get_local_port")
	var client := t.new_client()
	client.create_client(t.url(port))
	var joined := t.pump([server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	t.equal("get_local_port tells what port 0 became", [before, error, port > 0, joined], [0, OK, true, true])
	server.close()
	t.equal("get_local_port is 0 after close", server.call(&"get_local_port"), 0)
	server.create_server(port, "127.0.0.1")
	t.equal("get_local_port tells a port that was asked for", server.call(&"get_local_port"), port)
	t.retire([server, client])


func _port_taken() -> void:
	var first := t.new_server()
	var port := t.free_port()
	first.create_server(port, "127.0.0.1")
	var second := t.new_server()
	t.equal(
		"a port that is taken",
		[second.create_server(port, "127.0.0.1"), second.get_connection_status()],
		[ERR_ALREADY_IN_USE, Harness.DISCONNECTED]
	)
	first.close()
	t.equal(
		"the same object gets it when it is free",
		[second.create_server(port, "127.0.0.1"), second.get_connection_status()],
		[OK, Harness.CONNECTED]
	)
	second.close()
