class_name Checker
extends Node
## What the checked server and bots share: waiting with a limit, and telling how it went.

## Longer than all waits together take on a slow machine.
const LIMIT_SECONDS := 100.0
const WAIT_SECONDS := 25.0

var arguments: CommandLine
var session: Session
## Name -> lines that were heard from it.
var heard: Dictionary[String, PackedStringArray] = {}
## Name -> why it left.
var left: Dictionary[String, String] = {}

var _failures := 0
var _waiting_for := "the start"


func _ready() -> void:
	# The last resort: a script error would leave the process running for ever.
	get_tree().create_timer(LIMIT_SECONDS).timeout.connect(func() -> void: finish("done while waiting for %s" % _waiting_for))
	session.room.world.heard.connect(_on_heard)
	session.room.world.left.connect(func(player: Player, why: String) -> void: left[player.title] = why)
	session.room.world.taken.connect(_on_taken)
	@warning_ignore("redundant_await")
	await play()
	finish()


## What is to happen, for those who extend this.
func play() -> void:
	pass


func check(condition: bool, what: String) -> void:
	if not condition:
		_failures += 1
		print("FAIL %s" % what)


## Lets frames pass until `condition` holds; false, and a failure told, where it does not in time.
func until(condition: Callable, what: String) -> bool:
	_waiting_for = what
	var end := Time.get_ticks_msec() + int(WAIT_SECONDS * 1000.0)
	while not condition.call():
		if Time.get_ticks_msec() > end:
			check(false, "waited in vain for %s" % what)
			return false
		await get_tree().process_frame
	return true


func finish(failure := "") -> void:
	check(failure.is_empty(), failure)
	if _failures == 0:
		print("PASS played")
	session.leave()
	get_tree().quit(0 if _failures == 0 else 1)


## Whether `count` players have said a line that begins with `start`.
func have_said(count: int, start: String) -> bool:
	var speakers := 0
	for title in heard:
		for line in heard[title]:
			if line.begins_with(start):
				speakers += 1
				break
	return speakers == count


## Whether all players but this process's own have been seen moving at least so often.
func all_moved(times: int) -> bool:
	for player: Player in session.room.world.players.values():
		if player != session.room.me() and player.moves < times:
			return false
	return true


func _on_heard(title: String, text: String) -> void:
	if not heard.has(title):
		heard[title] = PackedStringArray()
	heard[title].append(text)


func _on_taken(orb: int, player: Player, at: Vector2) -> void:
	check(player.score > 0 and Rules.ARENA.has_point(at), "orb %d was taken at %s" % [orb, at])
