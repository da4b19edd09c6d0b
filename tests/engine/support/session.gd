extends RefCounted
## A server and clients played through SceneMultiplayer, each a branch of this tree.

const Branch := preload("res://support/branch.gd")
const Session := preload("res://support/session.gd")

var server: Branch
var clients: Array[Branch] = []
var all: Array = []
var port := 0

var _t: RefCounted
var _tree: SceneTree


## `prepare(branch)` runs before a branch's first poll.
static func open(t: RefCounted, tree: SceneTree, client_count: int, prepare := Callable()) -> Session:
	var classes := []
	classes.resize(client_count)
	classes.fill(t.client_class)
	return open_mixed(t, tree, t.server_class, classes, prepare)


static func open_mixed(
	t: RefCounted, tree: SceneTree, server_class: String, client_classes: Array, prepare := Callable()
) -> Session:
	var session := Session.new()
	session._t = t
	session._tree = tree
	session.port = t.free_port()
	var peer: MultiplayerPeer = ClassDB.instantiate(server_class)
	peer.create_server(session.port, "127.0.0.1")
	session.server = Branch.create(tree, "Server", peer)
	session.all.append(session.server)
	if prepare.is_valid():
		prepare.call(session.server)
	for name: String in client_classes:
		session.add(name, prepare)
	return session


## Adds a client and waits until everybody knows it.
func add(client_class: String, prepare := Callable()) -> Branch:
	var peer: MultiplayerPeer = ClassDB.instantiate(client_class)
	peer.create_client(_t.url(port))
	var branch: Branch = Branch.create(_tree, "Client", peer)
	if prepare.is_valid():
		prepare.call(branch)
	clients.append(branch)
	all.append(branch)
	var count := clients.size()
	var known := func() -> bool: return all.all(func(each: Branch) -> bool: return each.api.get_peers().size() == count)
	if not _t.pump(all, known):
		_t.check("client %d of a session is known to all" % count, false, "it is not")
	return branch


func pump(condition: Callable, limit_ms := 3000) -> bool:
	return _t.pump(all, condition, limit_ms)


func spin(ms := 40) -> void:
	_t.spin(all, ms)


func close() -> void:
	for branch: Branch in all:
		branch.retire()
	all.clear()
