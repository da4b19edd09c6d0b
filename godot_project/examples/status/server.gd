extends Node
## A server that can be watched: over HTTP by an orchestrator, a load balancer and Prometheus, in the editor's debugger
## as monitors, and in the log.
##
## godot --headless --path godot_project res://examples/status/server.tscn -- --port=9080 --status-port=9180
##
## curl http://127.0.0.1:9180/healthz   "ok" while the game runs, no answer when it hangs: restart it then
## curl http://127.0.0.1:9180/readyz    200 while players can join, else 503 and why: send them elsewhere then
## curl http://127.0.0.1:9180/metrics   all numbers, for Prometheus; see prometheus.yml beside this
##
## In a pod of Kubernetes, with --status-address=*:
##
## livenessProbe: {httpGet: {path: /healthz, port: 9180}}
## readinessProbe: {httpGet: {path: /readyz, port: 9180}}
##
## Arguments: --port, --max-clients, --status-port and --status-address (whoever can reach it can read it, so not a
## public one).

const Arguments := preload("res://examples/arguments.gd")

var _peer := MioWebSocketMultiplayerPeer.new()


func _ready() -> void:
	var port := int(Arguments.text("port", "9080"))
	var status_port := int(Arguments.text("status-port", "9180"))
	_peer.max_clients = int(Arguments.text("max-clients", "100"))
	_peer.monitors_enabled = true
	var error := _peer.create_server(port)
	if error == OK:
		error = _peer.create_status_endpoint(status_port, Arguments.text("status-address", "127.0.0.1"))
	if error != OK:
		push_error("Cannot listen on port %d or %d: %s." % [port, status_port, error_string(error)])
		get_tree().quit(1)
		return
	multiplayer.multiplayer_peer = _peer
	multiplayer.peer_connected.connect(_on_peer_connected)
	multiplayer.peer_disconnected.connect(_on_peer_disconnected)
	print("Listening on port %d." % _peer.get_local_port())
	print("Status at http://127.0.0.1:%d" % _peer.get_status_endpoint_port())


func _on_peer_connected(id: int) -> void:
	print("%d joined." % id)


## The numbers of a peer are there until this has been called for it.
func _on_peer_disconnected(id: int) -> void:
	var stats := _peer.get_peer_stats(id)
	var per_second: float = stats.bytes_sent / maxf(stats.connected_seconds, 0.001)
	print("%d left after %.0f s; it got %.0f bytes/s." % [id, stats.connected_seconds, per_second])
