extends "res://scenario.gd"
## Calls of @rpc methods through SceneMultiplayer, which the tree polls; each is answered with one.

const Target := preload("res://rpc_target.gd")

const WARM_FRAMES := 60


func run() -> Dictionary:
	var target := Target.new()
	target.name = "Game"
	server.root.add_child(target)
	server.get_multiplayer().multiplayer_peer = peer
	# The tree's multiplayer was not there when they came.
	for id: int in server.ids.duplicate():
		peer.peer_connected.emit(id)
	for i in WARM_FRAMES:
		await server.process_frame
	var before := target.calls
	server.meter.start()
	for i: int in server.number("frames"):
		await server.process_frame
	server.meter.stop("RPC", target.calls - before)
	return {}


func linger() -> void:
	server.get_multiplayer().poll()
