extends Node
## Tells the "WebSocket" tab of the debugger, twice a second, about the peers of the running game.
##
## The editor plugin makes it an autoload. Without a debugger it takes itself away; it works in a game
## that the editor has started, and in one elsewhere that was started with
## [code]--remote-debug tcp://HOST:6007[/code], a headless server for example.[br]
## It finds the peers of the [MultiplayerAPI]s of the scene tree's upper nodes. Others can be named:
## [codeblock]
## var reporter := get_node_or_null("/root/MioWebSocketReporter")
## if reporter != null:
##     reporter.call("watch", peer)
## [/codeblock]

const PREFIX := "mio_websocket"
const SNAPSHOT := "snapshot"

## Seconds between two reports.
const INTERVAL := 0.5
## A debugger takes only so much; the rest is counted and not listed.
const MOST_CONNECTIONS := 200
const MOST_CLOSES := 50
## How deep in the scene tree nodes are asked for their [MultiplayerAPI], and how many.
const DEPTH := 3
const MOST_NODES := 200

const PEER_CLASS := &"MioWebSocketMultiplayerPeer"

var _watched: Array[WeakRef] = []
## Ends of connections that have not been reported.
var _closes: Array[Dictionary] = []


func _ready() -> void:
	if not EngineDebugger.is_active():
		queue_free()
		return
	process_mode = Node.PROCESS_MODE_ALWAYS
	var timer := Timer.new()
	timer.wait_time = INTERVAL
	timer.ignore_time_scale = true
	timer.timeout.connect(_report)
	add_child(timer)
	timer.start()


## Reports [param peer], too. It is not kept alive.
func watch(peer: MultiplayerPeer) -> void:
	if peer == null or peer.get_class() != PEER_CLASS or _peers().has(peer):
		return
	_watched.append(weakref(peer))
	# By its number: bound itself, the peer would keep itself alive.
	peer.connect(&"peer_closed", _on_peer_closed.bind(peer.get_instance_id()))


func _report() -> void:
	_find(get_tree().root, DEPTH, MOST_NODES)
	var peers: Array[Dictionary] = []
	for peer: MultiplayerPeer in _peers():
		peers.append(_describe(peer))
	var snapshot := {time = Time.get_ticks_msec(), peers = peers, closes = _closes}
	EngineDebugger.send_message("%s:%s" % [PREFIX, SNAPSHOT], [snapshot])
	_closes = []


## Watches the peers of the nodes at and below [param node]. Returns how many more nodes may be asked.
func _find(node: Node, depth: int, budget: int) -> int:
	if node.multiplayer != null and node.multiplayer.has_multiplayer_peer():
		watch(node.multiplayer.multiplayer_peer)
	budget -= 1
	if depth == 0:
		return budget
	for child: Node in node.get_children():
		if budget <= 0:
			break
		budget = _find(child, depth - 1, budget)
	return budget


## The peers that still exist.
func _peers() -> Array[MultiplayerPeer]:
	var peers: Array[MultiplayerPeer] = []
	for reference: WeakRef in _watched:
		var peer: MultiplayerPeer = reference.get_ref()
		if peer != null:
			peers.append(peer)
	if peers.size() < _watched.size():
		_watched = _watched.filter(func(reference: WeakRef) -> bool: return reference.get_ref() != null)
	return peers


func _describe(peer: MultiplayerPeer) -> Dictionary:
	var stats: Dictionary = peer.call(&"get_stats")
	var connections: Array[Dictionary] = []
	var ids := _ids(peer)
	for id: int in ids.slice(0, MOST_CONNECTIONS):
		var connection: Dictionary = peer.call(&"get_peer_stats", id)
		connection.id = id
		connection.address = "%s:%d" % [peer.call(&"get_peer_address", id), peer.call(&"get_peer_port", id)]
		connections.append(connection)
	return {
		key = peer.get_instance_id(),
		title = _title(peer),
		stats = stats,
		count = ids.size(),
		connections = connections,
	}


func _ids(peer: MultiplayerPeer) -> PackedInt32Array:
	return peer.call(&"get_peer_ids")


func _title(peer: MultiplayerPeer) -> String:
	match peer.get_connection_status():
		MultiplayerPeer.CONNECTION_DISCONNECTED:
			return "disconnected"
		MultiplayerPeer.CONNECTION_CONNECTING:
			return "client, connecting"
	if peer.get_unique_id() == MultiplayerPeer.TARGET_PEER_SERVER:
		return "server on port %d" % peer.call(&"get_local_port")
	return "client %d" % peer.get_unique_id()


func _on_peer_closed(id: int, code: int, reason: String, was_clean: bool, key: int) -> void:
	if _closes.size() < MOST_CLOSES:
		var at := _title(instance_from_id(key) as MultiplayerPeer)
		_closes.append({at = at, id = id, code = code, reason = reason, was_clean = was_clean})
