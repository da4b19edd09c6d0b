extends Node2D
## A spawned node that its owner moves and a MultiplayerSynchronizer carries to the others.

const Pawn := preload("res://support/pawn.gd")

## Different positions seen so far.
var moves := 0
var _last := Vector2.INF


## Gives a branch what it needs to spawn pawns or to have them spawned.
static func add_spawner(branch: Node) -> void:
	var spawner := MultiplayerSpawner.new()
	spawner.name = "Spawner"
	var make := func(id: int) -> Node: return _make(id)
	spawner.spawn_function = make
	branch.add_child(spawner)
	spawner.spawn_path = spawner.get_path_to(branch)


static func spawn(branch: Node, id: int) -> Node:
	return branch.get_node(^"Spawner").spawn(id)


## The owners of the pawns that a branch has and has seen moving.
static func seen(branch: Node) -> Array:
	var ids := []
	for child in branch.get_children():
		if child is Pawn and child.moves > 5:
			ids.append(str(child.name).to_int())
	ids.sort()
	return ids


static func _make(id: int) -> Node:
	var pawn := Pawn.new()
	pawn.name = str(id)
	var config := SceneReplicationConfig.new()
	config.add_property(^".:position")
	var synchronizer := MultiplayerSynchronizer.new()
	synchronizer.name = "Synchronizer"
	synchronizer.replication_config = config
	pawn.add_child(synchronizer)
	pawn.set_multiplayer_authority(id)
	return pawn


func _process(_delta: float) -> void:
	if is_multiplayer_authority():
		position.x += 1.0
	if position != _last:
		_last = position
		moves += 1
