class_name Game
extends Control
## The game with a window: the menu, then a match, and back.

var menu: Menu
var screen: MatchScreen
var session: Session

var _crowd: Crowd


func _init() -> void:
	set_anchors_preset(PRESET_FULL_RECT)
	theme = Look.new_theme()


func _ready() -> void:
	show_menu("")


func show_menu(problem: String) -> void:
	_clear()
	menu = Menu.new()
	menu.host_asked.connect(host)
	menu.join_asked.connect(join)
	menu.tell(problem)
	add_child(menu)


func host(port: int, title: String, bots: int) -> void:
	_begin()
	if session.host(port, title) != OK:
		show_menu(session.reason)
		return
	session.open_to_spectators(port + 1)
	_show_match()
	_crowd = Crowd.new()
	add_child(_crowd)
	_crowd.join("ws://127.0.0.1:%d" % port, bots)


func join(url: String, title: String) -> void:
	_begin()
	session.changed.connect(_on_changed)
	session.join(url, title)


func _begin() -> void:
	if session != null:
		session.queue_free()
	session = Session.new()
	add_child(session)


func _on_changed() -> void:
	if screen == null:
		if session.state == Session.State.IN:
			_show_match()
		elif session.state == Session.State.CONNECTING:
			menu.tell("Connecting …")
		elif session.state == Session.State.OUT:
			menu.tell(session.reason)


func _show_match() -> void:
	menu.queue_free()
	menu = null
	screen = MatchScreen.new(session)
	screen.left.connect(show_menu.bind(""))
	add_child(screen)


func _clear() -> void:
	for part: Node in [menu, screen, _crowd, session]:
		if part != null:
			part.queue_free()
	menu = null
	screen = null
	_crowd = null
	session = null
