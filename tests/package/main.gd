extends Node
## A game as small as can be, made of the packed addon: a server and a client in one process.
## Prints PASS or FAIL lines and ends.

const Branch := preload("res://branch.gd")

const CLASSES: PackedStringArray = [
	"MioWebSocketMultiplayerPeer", "MioWebSocketPeer", "MioWebSocketServer"
]
const FRAMES := 600

var _failed := false


func _ready() -> void:
	Engine.max_fps = 60
	for name in CLASSES:
		_check("%s exists" % name, ClassDB.class_exists(name))
	if not _failed:
		await _play()
	get_tree().quit(1 if _failed else 0)


func _play() -> void:
	var server: Branch = _branch("Server")
	var client: Branch = _branch("Client")
	# By name: a game without the addon gets this far too.
	var host: MultiplayerPeer = ClassDB.instantiate(CLASSES[0])
	_check("a server listens", host.call("create_server", 0, "127.0.0.1") == OK)
	server.multiplayer.multiplayer_peer = host
	var guest: MultiplayerPeer = ClassDB.instantiate(CLASSES[0])
	var url := "ws://127.0.0.1:%d" % host.call("get_local_port")
	_check("a client starts", guest.call("create_client", url) == OK)
	client.multiplayer.multiplayer_peer = guest

	if not await _until(func() -> bool: return server.multiplayer.get_peers().size() == 1):
		_check("the client joins", false)
		return
	_check("the client joins", true)
	client.greet.rpc_id(1, "hello")
	await _until(func() -> bool: return client.heard == ["1: hello to you"])
	_check("a call and its answer arrive", client.heard == ["1: hello to you"])
	# Its node first: the engine's release build reports an error of its own for a node that is called by
	# path and outlives the peer, with any peer.
	client.queue_free()
	await get_tree().process_frame
	guest.close()
	await _until(func() -> bool: return server.multiplayer.get_peers().is_empty())
	_check("the server sees the client go", server.multiplayer.get_peers().is_empty())
	host.close()
	# While their multiplayer APIs are still there.
	for child in get_children():
		child.queue_free()
	await get_tree().process_frame


## A part of the tree with a multiplayer API of its own.
func _branch(branch_name: String) -> Branch:
	var root := Node.new()
	root.name = branch_name
	add_child(root)
	get_tree().set_multiplayer(MultiplayerAPI.create_default_interface(), root.get_path())
	var branch := Branch.new()
	branch.name = "Branch"
	root.add_child(branch)
	return branch


func _until(condition: Callable) -> bool:
	for frame in FRAMES:
		if condition.call():
			return true
		await get_tree().process_frame
	return false


func _check(name: String, condition: bool) -> void:
	print(("PASS %s" if condition else "FAIL %s: it is not so") % name)
	_failed = _failed or not condition
