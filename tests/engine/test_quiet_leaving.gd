extends SceneTree
## A game that goes on sending while players leave, are kicked or lose the server prints no errors.

const Harness := preload("res://support/harness.gd")
const ErrorCounter := preload("res://support/error_counter.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	for ending: String in [
		"a client closes", "a client disconnects", "a client is kicked", "a client's process ends", "the server closes"
	]:
		_play_on(ending)
	t.finish()


## Rounds stand for frames: everybody polls, then calls all others, as synchronizers do.
func _play_on(ending: String) -> void:
	var session: Session = Session.open(t, self, 4)
	var leaver: Branch = session.clients[0]
	_round(session)
	t.settle(10)
	_round(session)
	var counter := ErrorCounter.start()
	# Something to deliver together with the end.
	for branch: Branch in session.all:
		branch.actor.reliable.rpc("last words")
	match ending:
		"a client closes":
			leaver.peer().close()
		"a client disconnects":
			leaver.peer().disconnect_peer(1)
		"a client is kicked":
			session.server.peer().disconnect_peer(leaver.id())
		"a client's process ends":
			leaver.api.multiplayer_peer = null
		"the server closes":
			session.server.peer().close()
	for i in 10:
		t.settle(5)
		_round(session)
	counter.stop()
	t.check(
		"%s: no errors" % ending,
		counter.count == 0,
		"%d, first: %s" % [counter.count, "".join(counter.lines.slice(0, 1))]
	)
	var alone := ending == "the server closes"
	t.equal("%s: the others play on" % ending, session.clients[1].api.get_peers().size(), 0 if alone else 3)
	session.close()


func _round(session: Session) -> void:
	for branch: Branch in session.all:
		branch.poll()
		# As a game does: nobody to call, no call.
		if branch.api.has_multiplayer_peer() and not branch.api.get_peers().is_empty():
			branch.actor.unreliable.rpc(branch.actor.calls.size())
