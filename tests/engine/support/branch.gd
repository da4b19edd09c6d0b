extends Node
## One end of a session played through SceneMultiplayer: a branch of the tree with an API and an RPC node of its own.
## Polled by hand, so that a test decides who is polled when.

const Actor := preload("res://support/actor.gd")
const Branch := preload("res://support/branch.gd")

var api := SceneMultiplayer.new()
var actor := Actor.new()
## The API's signals as text.
var events: Array[String] = []


## `tree` must have its first frame behind it, because an API needs the path of its branch.
static func create(tree: SceneTree, label: String, peer: MultiplayerPeer) -> Branch:
	var branch := Branch.new()
	branch.name = label
	tree.multiplayer_poll = false
	tree.root.add_child(branch, true)
	tree.set_multiplayer(branch.api, branch.get_path())
	branch.actor.name = "Actor"
	branch.add_child(branch.actor)
	branch._record()
	branch.api.multiplayer_peer = peer
	return branch


func peer() -> MultiplayerPeer:
	return api.multiplayer_peer


func id() -> int:
	return api.get_unique_id()


func poll() -> void:
	api.poll()


## What was called and its value, without the senders.
func values(method: String) -> Array:
	var result := []
	for entry: Array in actor.calls:
		if entry[0] == method:
			result.append(entry[2])
	return result


func retire() -> void:
	if api.multiplayer_peer != null:
		api.multiplayer_peer.close()
	api.multiplayer_peer = null
	# Spawned nodes report their going to the API, so it stays until they are out of the tree.
	var tree := get_tree()
	var path := get_path()
	get_parent().remove_child(self)
	tree.set_multiplayer(null, path)
	queue_free()


# Handlers that hold the list and not this node: the API outlives the node in some tests.
func _record() -> void:
	var list := events
	api.peer_connected.connect(func(peer_id: int) -> void: list.append("+%d" % peer_id))
	api.peer_disconnected.connect(func(peer_id: int) -> void: list.append("-%d" % peer_id))
	api.connected_to_server.connect(func() -> void: list.append("connected"))
	api.connection_failed.connect(func() -> void: list.append("failed"))
	api.server_disconnected.connect(func() -> void: list.append("server gone"))
	api.peer_authenticating.connect(func(peer_id: int) -> void: list.append("authenticating %d" % peer_id))
	api.peer_authentication_failed.connect(
		func(peer_id: int) -> void: list.append("authentication failed %d" % peer_id)
	)
