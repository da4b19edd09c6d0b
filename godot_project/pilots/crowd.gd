class_name Crowd
extends Node
## Bots that join a match over the network, each with a connection of its own.

signal added(session: Session)

const NAMES: PackedStringArray = [
	"Ada", "Bram", "Cleo", "Dario", "Edda", "Finn", "Gita", "Hugo", "Ines", "Jari", "Kaya", "Lior",
	"Mina", "Nico", "Olga", "Pavel", "Quinn", "Rosa", "Sami", "Tara", "Ugo", "Vera", "Wim", "Xenia",
	"Yuki", "Zeno", "Alba", "Boris", "Celia", "Dov", "Elin", "Faro", "Greta", "Hana", "Ivo", "Juno",
]
const CHATTINESS := 14.0
## Between two arrivals.
const PAUSE := 0.06


## Lets `count` bots join the match at `url`, one after the other.
func join(url: String, count: int, title := "") -> void:
	for index in count:
		var session := Session.new()
		session.name = "Bot%d" % index
		session.is_patient = true
		add_child(session)
		var bot := Bot.new(session)
		bot.chattiness = CHATTINESS
		session.add_child(bot)
		added.emit(session)
		session.join(url, _title(title, index, count))
		await get_tree().create_timer(PAUSE).timeout


static func _title(title: String, index: int, count: int) -> String:
	if title.is_empty():
		return NAMES[index % NAMES.size()]
	return title if count == 1 else "%s %d" % [title, index + 1]
