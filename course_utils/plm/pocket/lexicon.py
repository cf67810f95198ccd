"""The words of the pocket world, by meaning.

Every list is a piece of knowledge that only the pre-training corpus shows: which adjectives
praise, which nouns are food, which event breaks a glass. The tasks show part of each list in
their training sets (see `shown`), so that what a model knows about the rest must come from
pre-training.
"""

from __future__ import annotations

import random
import zlib


def words(text: str) -> tuple[str, ...]:
    """The different words of a text, in order."""
    return tuple(dict.fromkeys(text.split()))


def shown(word: str, share: float = 0.5) -> bool:
    """Whether `word` belongs to the fixed `share` of the lexicon that task training sets use."""
    return zlib.crc32(word.encode()) % 1000 < share * 1000


# --- praise and blame -------------------------------------------------------------------------

#: aspect -> (nouns it is said of, praising adjectives, blaming adjectives)
ASPECTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "food": (
        words(
            "soup bread cheese fish chicken salad pasta rice cake pie coffee tea stew steak pizza "
            "sandwich dessert breakfast lunch dinner meal noodles curry sauce juice wine"
        ),
        words(
            "tasty delicious fresh juicy crisp savory flavorful tender fragrant yummy hearty "
            "creamy mouthwatering scrumptious luscious wholesome nourishing succulent zesty "
            "appetizing heavenly exquisite delectable satisfying homemade"
        ),
        words(
            "bland stale greasy soggy burnt salty sour rotten tasteless undercooked watery "
            "rubbery moldy spoiled lukewarm oily bitter rancid mushy overcooked flavorless "
            "inedible raw sickening gritty"
        ),
    ),
    "service": (
        words(
            "waiter waitress service staff owner clerk host seller cashier guide manager barber "
            "receptionist driver porter"
        ),
        words(
            "friendly polite kind helpful attentive patient cheerful welcoming caring courteous "
            "gracious considerate prompt respectful thoughtful warm generous charming obliging "
            "efficient knowledgeable competent sincere gentle hospitable"
        ),
        words(
            "rude impolite careless grumpy arrogant lazy unfriendly hostile ignorant impatient "
            "clumsy dishonest unhelpful moody insulting cold sloppy incompetent inattentive "
            "annoyed bossy dismissive surly nasty greedy"
        ),
    ),
    "place": (
        words(
            "room place hall terrace garden lobby kitchen table seat view bathroom decor music "
            "bed balcony entrance courtyard pool stairway"
        ),
        words(
            "cozy clean bright spacious comfortable tidy peaceful pretty elegant airy stylish "
            "relaxing inviting spotless picturesque lovely serene luxurious homely immaculate "
            "pleasant sunny breezy restful quiet"
        ),
        words(
            "dirty noisy cramped smelly dusty gloomy shabby filthy stuffy ugly crowded damp "
            "drafty dim messy rundown grimy uncomfortable stained infested dingy neglected "
            "chilly sticky unsafe"
        ),
    ),
    "goods": (
        words(
            "lamp chair clock kettle radio jacket bag phone camera knife bicycle blanket umbrella "
            "toaster watch printer tent pillow drill keyboard"
        ),
        words(
            "sturdy reliable durable handy practical sharp solid refined useful accurate "
            "lightweight sleek affordable versatile powerful dependable compact precise waterproof "
            "robust ergonomic smooth silent genuine flawless"
        ),
        words(
            "flimsy faulty broken useless defective fragile unreliable overpriced scratched "
            "wobbly leaky fake outdated bulky defunct shoddy rusty cracked impractical dented "
            "overheating worthless crooked unusable brittle"
        ),
    ),
    "show": (
        words(
            "film movie play concert story plot acting song singer novel ending dialogue actor "
            "script show dance opera comedy drama documentary"
        ),
        words(
            "gripping moving funny touching clever inspiring witty thrilling beautiful brilliant "
            "original entertaining captivating hilarious memorable heartwarming dazzling "
            "fascinating poetic masterful riveting delightful unforgettable imaginative uplifting"
        ),
        words(
            "dull tedious predictable boring shallow silly confusing pointless tiresome weak lame "
            "amateurish forgettable pretentious monotonous lifeless unfunny painful stupid "
            "disappointing incoherent trite hollow dreary ridiculous"
        ),
    ),
}

#: words that state a verdict: the label words of sentiment
VERDICTS_GOOD = words(
    "great good wonderful excellent fantastic amazing superb perfect fine nice awesome positive"
)
VERDICTS_BAD = words(
    "terrible bad awful horrible dreadful poor lousy disgusting miserable nasty pathetic negative"
)
LIKED = words("loved liked enjoyed adored admired praised recommended cherished")
DISLIKED = words("hated disliked regretted loathed despised criticized avoided detested")

# --- the four news sections -------------------------------------------------------------------

#: section -> (actors, verbs, objects); the label words are the sections' names
SECTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "world": (
        words(
            "president minister government army parliament king ambassador troops rebels senate "
            "diplomat police refugees mayor queen soldiers voters protesters envoy general"
        ),
        words(
            "invaded elected condemned arrested negotiated protested ruled voted deported "
            "liberated governed threatened resigned vetoed sanctioned evacuated occupied "
            "denounced pardoned exiled"
        ),
        words(
            "election treaty border peace war embassy law constitution ceasefire capital summit "
            "crisis prisoners province refuge alliance referendum coup parade territory"
        ),
    ),
    "sports": (
        words(
            "striker goalkeeper coach champion sprinter boxer referee swimmer runner pitcher "
            "captain cyclist skier wrestler rower gymnast athlete defender teammates fans"
        ),
        words(
            "scored tackled dribbled sprinted defeated wrestled raced kicked trained outran "
            "qualified punched skated rowed dived juggled drew sidelined lapped served"
        ),
        words(
            "match goal trophy league medal tournament stadium penalty championship season "
            "marathon score relay final playoff racket ball pitch podium halftime"
        ),
    ),
    "business": (
        words(
            "bank investor company trader banker factory shareholder broker firm accountant "
            "employer supplier retailer lender executive buyer economist importer landlord startup"
        ),
        words(
            "invested merged borrowed traded exported profited hired acquired financed leased "
            "auctioned taxed insured budgeted refunded outsourced bankrupted lent paid audited"
        ),
        words(
            "profit stock market loan price shares debt revenue contract deal budget currency "
            "salary mortgage inflation trade invoice dividend merger wage"
        ),
    ),
    "science": (
        words(
            "scientist researcher engineer astronomer programmer chemist laboratory biologist "
            "physicist robot inventor geologist satellite software computer professor telescope "
            "mathematician hacker zoologist"
        ),
        words(
            "discovered invented measured programmed observed tested analyzed computed orbited "
            "decoded launched calculated engineered simulated detected dissected magnified "
            "downloaded digitized theorized"
        ),
        words(
            "planet gene experiment virus rocket cell internet galaxy atom energy microscope chip "
            "molecule fossil algorithm laser comet vaccine database microbe"
        ),
    ),
}

# --- kinds of things (hypernyms), places, doings -----------------------------------------------

#: kind -> members; used by inference, definitions, questions
KINDS: dict[str, tuple[str, ...]] = {
    "animal": words(
        "dog cat horse cow sheep goat rabbit fox wolf bear monkey lion tiger donkey pig mouse"
    ),
    "bird": words("eagle owl crow duck goose pigeon sparrow parrot hawk swan robin gull"),
    "fruit": words("apple pear plum cherry grape peach banana lemon melon mango fig apricot"),
    "vegetable": words("carrot onion potato cabbage bean pea tomato turnip spinach leek radish"),
    "tool": words("hammer saw axe shovel rake wrench chisel pliers ladder broom scissors brush"),
    "vehicle": words("car truck bus van train tram boat ship wagon taxi scooter tractor"),
    "instrument": words("violin piano drum guitar flute trumpet harp cello banjo organ fiddle"),
    "clothing": words("shirt coat hat scarf dress skirt sweater glove sock boot apron vest"),
    "flower": words("rose tulip lily daisy orchid violet poppy sunflower iris jasmine"),
    "metal": words("iron gold silver copper steel tin bronze brass lead zinc"),
    "furniture": words("sofa desk shelf bench cupboard stool wardrobe dresser couch cabinet"),
    "weapon": words("sword spear bow dagger cannon rifle shield arrow lance club"),
    "building": words("castle church tower palace barn mill cottage temple bridge warehouse"),
    "drink": words("milk beer cider lemonade cocoa whiskey rum soda brandy water"),
    "jewel": words("ring necklace bracelet crown brooch pearl diamond ruby earring emerald"),
    "toy": words("doll kite puppet marble puzzle yoyo top rattle swing blocks"),
}

#: who is doing it -> (a more general word, a sex or none)
WORKERS: dict[str, str] = dict.fromkeys(
    words(
        "cook baker farmer teacher nurse doctor painter tailor fisherman carpenter plumber pilot "
        "sailor judge lawyer singer_ gardener butcher librarian mechanic miner hunter potter "
        "weaver shepherd jeweler chef poet sculptor dentist"
    ),
    "person",
)
WORKERS.pop("singer_")
WORKERS.update(dict.fromkeys(words("boy son brother uncle grandfather gentleman prince"), "man"))
WORKERS.update(dict.fromkeys(words("girl daughter sister aunt grandmother lady princess"), "woman"))

#: doing, its group, the things it is done with; two doings of different groups exclude each other
DOINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "moving": {
        "running": ("along the road", "across the field", "up the hill"),
        "jogging": ("along the beach", "around the lake"),
        "walking": ("through the forest", "to the station"),
        "climbing": ("a tree", "a wall", "a mountain"),
        "jumping": ("over the fence", "into the air"),
        "marching": ("down the street", "past the gate"),
        "hiking": ("through the valley", "up the hill"),
        "racing": ("down the slope", "around the track"),
    },
    "resting": {
        "sleeping": ("in a bed", "on a sofa", "under a tree"),
        "napping": ("on a bench", "in a hammock"),
        "dozing": ("in a chair", "by the fire"),
        "snoring": ("on the floor", "in a tent"),
        "dreaming": ("in a bed", "on the grass"),
    },
    "eating": {
        "chewing": ("an apple", "some bread", "a carrot"),
        "devouring": ("a pie", "a steak", "a pizza"),
        "nibbling": ("some cheese", "a pear"),
        "tasting": ("the soup", "the stew"),
        "swallowing": ("a plum", "some rice"),
        "munching": ("a sandwich", "some cake"),
    },
    "cooking": {
        "frying": ("an onion", "some fish"),
        "baking": ("a cake", "some bread"),
        "boiling": ("a potato", "some rice"),
        "roasting": ("a chicken", "some carrots"),
        "stirring": ("the soup", "the sauce"),
        "grilling": ("a steak", "some fish"),
    },
    "making music": {
        "strumming": ("a guitar", "a banjo"),
        "singing": ("a song", "in a choir"),
        "drumming": ("on the stage", "in a band"),
        "fiddling": ("at a wedding", "in a pub"),
        "whistling": ("a tune", "a song"),
        "humming": ("a melody", "a tune"),
    },
    "reading": {
        "studying": ("a map", "a textbook"),
        "skimming": ("a newspaper", "a letter"),
        "browsing": ("a magazine", "a catalog"),
        "perusing": ("a novel", "a report"),
        "leafing": ("through a book", "through a diary"),
    },
    "speaking": {
        "chatting": ("with a neighbor", "on the phone"),
        "lecturing": ("in a school", "about history"),
        "arguing": ("with a friend", "about money"),
        "whispering": ("to a friend", "in the dark"),
        "shouting": ("at a crowd", "from the window"),
        "gossiping": ("with a neighbor", "about the wedding"),
    },
    "cleaning": {
        "sweeping": ("the floor", "the yard"),
        "scrubbing": ("the bathtub", "a pan"),
        "washing": ("the dishes", "a car"),
        "dusting": ("the shelf", "a lamp"),
        "mopping": ("the hallway", "the floor"),
        "polishing": ("the mirror", "a spoon"),
    },
    "building": {
        "hammering": ("a nail", "on the roof"),
        "sawing": ("a plank", "a log"),
        "welding": ("a gate", "a pipe"),
        "bricklaying": ("by the wall", "in the yard"),
        "drilling": ("a hole", "into the wall"),
        "assembling": ("a shelf", "a cabinet"),
    },
    "swimming": {
        "diving": ("into the pool", "off a rock"),
        "splashing": ("in the lake", "in the river"),
        "paddling": ("in the sea", "near the shore"),
        "floating": ("in the pool", "on the waves"),
        "snorkeling": ("near the reef", "in the bay"),
    },
    "fighting": {
        "boxing": ("in a ring", "with a rival"),
        "wrestling": ("in the mud", "with a rival"),
        "dueling": ("at dawn", "with swords"),
        "brawling": ("in a bar", "behind the pub"),
    },
    "drawing": {
        "sketching": ("a portrait", "a horse"),
        "painting": ("a landscape", "a wall"),
        "doodling": ("in a notebook", "on a napkin"),
        "coloring": ("a picture", "a poster"),
    },
}

OUTDOORS = words("park garden street beach forest field yard meadow market harbor")
INDOORS = words("kitchen office library bedroom museum classroom hospital cellar theater shop")

#: adjectives that exclude each other
OPPOSITES: tuple[tuple[str, str], ...] = (
    ("hot", "freezing"), ("big", "small"), ("old", "young"), ("rich", "penniless"),
    ("tall", "short"), ("fast", "slow"), ("heavy", "light"), ("wet", "dry"), ("full", "empty"),
    ("loud", "hushed"), ("hard", "soft"), ("early", "late"), ("open", "closed"),
    ("strong", "feeble"), ("happy", "sad"), ("brave", "timid"), ("cheap", "expensive"),
    ("near", "far"), ("deep", "shallow_"), ("wide", "narrow"), ("thick", "thin"),
    ("awake", "asleep"), ("healthy", "sick"), ("famous", "unknown"), ("modern", "ancient"),
    ("calm", "stormy"), ("safe", "dangerous"), ("married", "single"), ("guilty", "innocent"),
    ("alive", "dead"), ("rough", "polished"), ("bald", "hairy"), ("simple", "complicated"),
    ("rare", "common"), ("tame", "wild"), ("foreign", "local"), ("public", "private"),
    ("visible", "hidden"), ("frozen", "melted"), ("fertile", "barren"),
)  # fmt: skip
OPPOSITES = tuple((a.strip("_"), b.strip("_")) for a, b in OPPOSITES if "_" not in a + b)

#: near-synonyms: either may stand for the other
SYNONYMS: tuple[tuple[str, str], ...] = (
    ("big", "large"), ("small", "tiny"), ("happy", "glad"), ("sad", "unhappy"),
    ("fast", "quick"), ("rich", "wealthy"), ("sick", "ill"), ("famous", "renowned"),
    ("old", "aged"), ("hot", "boiling_"), ("brave", "bold"), ("strong", "mighty"),
    ("dangerous", "risky"), ("ancient", "antique"), ("loud", "deafening"), ("empty", "vacant"),
    ("wet", "soaked"), ("thin", "slim"), ("cheap", "inexpensive"), ("expensive", "costly"),
    ("timid", "shy"), ("wide", "broad"), ("calm", "tranquil"), ("simple", "easy"),
    ("complicated", "complex"), ("rare", "scarce"), ("closed", "shut"), ("dead", "deceased"),
    ("hidden", "concealed"), ("young", "youthful"), ("freezing", "icy"), ("feeble", "frail"),
    ("tall", "towering"), ("foreign", "alien"), ("wild", "untamed"), ("private", "personal"),
)  # fmt: skip
SYNONYMS = tuple(pair for pair in SYNONYMS if "_" not in "".join(pair))

# --- cause and effect ---------------------------------------------------------------------------

#: (cause, effect) with {x} a person; both sides in two wordings
CAUSES: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
    (("{x} dropped the glass", "{x} let the vase fall"), ("it broke into pieces", "there were shards on the floor")),
    (("it rained all night", "there was a long downpour"), ("the river flooded the fields", "the ground turned to mud")),
    (("{x} forgot the alarm", "{x} stayed up past midnight"), ("{x} overslept", "{x} missed the first class")),
    (("{x} studied for weeks", "{x} learned every chapter"), ("{x} passed the exam", "{x} got the best grade")),
    (("{x} ate too much candy", "{x} emptied the box of sweets"), ("{x} had a stomachache", "{x} felt sick to the stomach")),
    (("the wind blew out the candle", "the lamp ran out of oil"), ("it was dark in the cabin", "{x} could not see anything")),
    (("{x} watered the plants", "{x} looked after the seeds"), ("the flowers bloomed", "the garden turned green")),
    (("{x} lost the keys", "{x} left the keys inside"), ("{x} could not enter the house", "{x} called a locksmith")),
    (("the baby heard thunder", "the dog barked at the baby"), ("the baby cried", "the mother sang a lullaby")),
    (("{x} won the lottery", "{x} inherited a fortune"), ("{x} bought a mansion", "{x} quit working")),
    (("the tire went flat", "the engine broke down"), ("{x} stopped the vehicle", "{x} waited for the tow")),
    (("{x} touched the stove", "{x} spilled boiling water"), ("{x} burned a finger", "{x} cried out in pain")),
    (("{x} slipped on the ice", "{x} tripped over a stone"), ("{x} broke a leg", "{x} fell to the ground")),
    (("the sun came out", "the fog lifted"), ("the snow melted", "the children played outside")),
    (("{x} told a lie", "{x} broke a promise"), ("the friend lost trust", "the friend was angry with {x}")),
    (("{x} caught a cold", "{x} had a fever"), ("{x} stayed in bed", "{x} sneezed all day")),
    (("the thief saw the guard", "the alarm rang in the vault"), ("the thief ran away", "the jewels stayed in the vault")),
    (("{x} practiced the violin every day", "{x} took music lessons"), ("{x} played at the concert", "{x} joined the orchestra")),
    (("the fire spread through the attic", "lightning struck the roof"), ("the firemen came", "smoke filled the building")),
    (("{x} planted wheat", "{x} plowed the acre"), ("{x} had a rich harvest", "{x} sold grain in autumn")),
    (("the bridge collapsed", "the road was blocked"), ("{x} took a detour", "the travelers turned back")),
    (("{x} saved every coin", "{x} worked two jobs"), ("{x} paid the debts", "{x} could afford a holiday")),
    (("the cat chased the bird", "a stone hit the branch"), ("the bird flew off", "feathers floated in the air")),
    (("{x} heard a joke", "the clown made a face"), ("{x} laughed aloud", "{x} giggled for minutes")),
    (("the milk stood in the sun", "the fridge was unplugged"), ("the milk went bad", "there was a foul smell")),
    (("{x} trained for the race", "{x} ran before sunrise each morning"), ("{x} finished first", "{x} set a record")),
    (("the boat hit a reef", "there was a leak in the hull"), ("the boat sank", "the crew swam ashore")),
    (("{x} skipped breakfast", "{x} had not eaten since noon"), ("{x} was hungry", "{x} fainted at school")),
    (("{x} proposed to the girlfriend", "the couple fell in love"), ("they married in spring", "they planned a wedding")),
    (("the power failed", "a fuse blew"), ("the screens went black", "the elevator got stuck")),
    (("{x} worked in the sun all day", "{x} forgot the sunscreen"), ("{x} got a sunburn", "the skin of {x} turned red")),
    (("the team played badly", "the players ignored the plan"), ("they lost the game", "the trainer was fired")),
    (("{x} polished the shoes", "{x} rubbed the silverware"), ("the shoes shone", "the silverware gleamed")),
    (("the frost came early", "the winter was harsh"), ("the crops died", "the pond froze over")),
    (("{x} drove over the limit", "{x} ignored the red signal"), ("{x} got a fine", "an officer stopped {x}")),
    (("{x} hugged the puppy", "{x} brought the dog a bone"), ("the puppy wagged its tail", "the dog licked {x}")),
    (("the string snapped", "{x} let go of the rope"), ("the balloon rose to the clouds", "the kite was lost")),
    (("{x} mixed blue with yellow", "{x} stirred the two paints"), ("the paint became green", "there was a new color")),
    (("a stranger knocked", "someone rang the bell"), ("{x} opened the door", "{x} peeked through the curtain")),
    (("the library was silent", "the lecture was endless"), ("{x} yawned", "{x} fell asleep")),
)  # fmt: skip

# --- words with two senses ----------------------------------------------------------------------

#: word -> two senses: (gloss, sentences about it with ___ for the word)
SENSES: dict[str, tuple[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]]] = {}


def _sense(word: str, gloss1: str, contexts1: str, gloss2: str, contexts2: str) -> None:
    SENSES[word] = (
        (gloss1, tuple(s.strip() for s in contexts1.split("|"))),
        (gloss2, tuple(s.strip() for s in contexts2.split("|"))),
    )


_sense("bat", "animal", "a ___ flew out of the cave | the ___ slept upside down | the ___ has dark wings | the ___ hunts moths at night",
       "club", "the player swung the ___ | the ___ hit the ball hard | a wooden ___ lay on the pitch | the coach bought a new ___")  # fmt: skip
_sense("bark", "tree", "the ___ of the oak was rough | moss grew on the ___ | beetles live under the ___ | the trunk lost its ___",
       "dog", "the ___ of the puppy woke us | we heard a loud ___ at the gate | the hound gave a ___ | its ___ scared the thief")  # fmt: skip
_sense("spring", "season", "the birds return in ___ | in ___ the tulips bloom | after winter comes ___ | ___ was mild that year",
       "water", "we drank from the ___ | the ___ feeds the brook | clear water ran from the ___ | the ___ never dries up")  # fmt: skip
_sense("seal", "animal", "the ___ swam after the fish | a ___ lay on the ice | the ___ barked on the rock | the zoo feeds the ___",
       "stamp", "the letter bore a red ___ | the king pressed his ___ | wax was used for the ___ | the ___ on the contract was broken")  # fmt: skip
_sense("pen", "writing", "he signed with a ___ | the ___ ran out of ink | she wrote a letter with the ___ | the ___ left a blue line",
       "fence", "the pigs are in the ___ | the sheep left the ___ | he repaired the ___ of the goats | hay was thrown into the ___")  # fmt: skip
_sense("crane", "bird", "the ___ waded in the marsh | a ___ built a nest | the ___ spread its feathers | the ___ caught a frog",
       "machine", "the ___ lifted the beams | a ___ stood at the site | the workers moved the load by ___ | the ___ carried concrete")  # fmt: skip
_sense("match", "game", "the ___ ended in a draw | fans watched the ___ | the team lost the ___ | the referee stopped the ___",
       "fire", "she lit a candle with a ___ | he struck a ___ | the ___ burned his thumb | a wet ___ gives no flame")  # fmt: skip
_sense("ring", "jewel", "the bride wore a ___ | the ___ is made of gold | he lost the ___ in the sea | a ruby shone on the ___",
       "sound", "the ___ of the phone woke him | we heard a ___ at the door | the ___ of the bell was clear | one ___ and she answered")  # fmt: skip
_sense("trunk", "tree", "the ___ of the oak is thick | he sawed the ___ | moss covered the ___ | the storm split the ___",
       "chest", "she packed clothes in the ___ | the ___ had an iron lock | the ___ was full of letters | they loaded the ___ on the coach")  # fmt: skip
_sense("wave", "water", "the ___ hit the boat | a surfer rode the ___ | a ___ rolled onto the beach | the ___ wet our shoes",
       "greeting", "she gave me a ___ | with a ___ he said goodbye | the queen answered with a ___ | a ___ from the window made him smile")  # fmt: skip
_sense("bank", "money", "he has savings at the ___ | the ___ gave her a loan | the ___ raised its interest | the robbers entered the ___",
       "river", "we fished from the ___ | reeds grow along the ___ | the stream left its ___ | the canoe lay on the ___")  # fmt: skip
_sense("palm", "tree", "the ___ grows near the beach | coconuts fell from the ___ | the ___ gave shade on the island | dates hang from the ___",
       "hand", "she read his ___ | a coin lay in his ___ | the ___ of her hand itched | he wiped sweat from his ___")  # fmt: skip
_sense("nail", "metal", "he hammered a ___ | the picture hangs on a ___ | a rusty ___ was in the plank | the ___ bent at once",
       "finger", "she painted her ___ red | he bit his ___ | the ___ of her thumb broke | she filed the ___ of each finger")  # fmt: skip
_sense("mouse", "animal", "the cat caught a ___ | a ___ ate the cheese | the ___ hid in the hole | the owl saw a ___",
       "computer", "click with the ___ | the ___ of the computer is wireless | he moved the cursor with the ___ | the ___ and the keyboard are new")  # fmt: skip
_sense("star", "sky", "a ___ shone in the night | the ___ is far from the earth | sailors followed the ___ | the telescope showed a ___",
       "actor", "the ___ signed autographs | the film made her a ___ | reporters waited for the ___ | the ___ gave an interview")  # fmt: skip
_sense("plant", "flower", "she watered the ___ | the ___ has green leaves | the ___ needs light | the ___ grew in a pot",
       "factory", "the ___ makes engines | workers left the ___ at six | the ___ was shut by the owner | smoke rose from the ___")  # fmt: skip
_sense("log", "wood", "he put a ___ on the fire | the ___ floated down the stream | she split the ___ | a ___ blocked the trail",
       "record", "the captain wrote in the ___ | errors are listed in the ___ | the ___ shows every login | the date in the ___ is wrong")  # fmt: skip
_sense("deck", "ship", "the sailors scrubbed the ___ | passengers stood on the ___ | waves washed over the ___ | the captain walked the ___",
       "cards", "she shuffled the ___ | he drew an ace from the ___ | the ___ has jokers | the dealer cut the ___")  # fmt: skip
_sense("letter", "mail", "the postman brought a ___ | he mailed the ___ | she sealed the ___ in an envelope | the ___ came from grandma",
       "alphabet", "the word begins with a ___ | the ___ is a vowel | the child learned one ___ | he wrote the ___ on the blackboard")  # fmt: skip
_sense("scale", "weight", "he stepped on the ___ | the ___ showed ten pounds | the butcher used a ___ | flour was weighed on the ___",
       "music", "she practiced a ___ on the piano | the pupil sang the ___ | the ___ has seven notes | he played the ___ slowly")  # fmt: skip
_sense("pitcher", "jug", "fill the ___ with lemonade | the ___ was made of clay | milk was poured from the ___ | the ___ has a handle",
       "player", "the ___ threw the ball | the ___ of the team was injured | fans cheered for the ___ | the ___ practiced his throw")  # fmt: skip
_sense("bow", "weapon", "the archer drew his ___ | arrows and a ___ | he hunted deer with a ___ | the string of the ___ snapped",
       "ribbon", "she tied a ___ in her hair | the gift had a red ___ | a ___ of silk | the dress has a ___ at the back")  # fmt: skip
_sense("file", "folder", "the clerk opened the ___ | the ___ holds your papers | she saved the ___ | the ___ was deleted",
       "tool", "he smoothed the metal with a ___ | the ___ is next to the saw | use a ___ on the rough edge | the prisoner hid a ___")  # fmt: skip
_sense("cell", "prison", "the guard locked the ___ | the thief slept in the ___ | the ___ had a tiny window | he paced in his ___",
       "biology", "the ___ divides | each ___ has a nucleus | the biologist drew a ___ | the virus enters the ___")  # fmt: skip
_sense("organ", "music", "the ___ played in the church | she learned the ___ | the pipes of the ___ | a hymn on the ___",
       "body", "the heart is an ___ | the surgeon removed the ___ | the liver is a large ___ | the patient needs a new ___")  # fmt: skip
_sense("court", "law", "the judge entered the ___ | the lawyer spoke in ___ | the ___ found him guilty | the trial was held in ___",
       "tennis", "they met on the ___ with rackets | the ___ has a net | the serve landed outside the ___ | rain made the ___ slippery")  # fmt: skip
_sense("plane", "flying", "the ___ landed on the runway | the pilot flew the ___ | passengers boarded the ___ | the ___ crossed the ocean",
       "carpentry", "the carpenter smoothed the plank with a ___ | shavings fell from the ___ | the blade of the ___ | he keeps the ___ near the saw")  # fmt: skip
_sense("pool", "swimming", "the kids dived into the ___ | the ___ is heated | the lifeguard watched the ___ | she swam in the ___",
       "billiards", "they played ___ in the pub | he chalked the cue for ___ | a game of ___ | the balls on the ___ table")  # fmt: skip
_sense("jam", "fruit", "she spread ___ on the toast | the ___ is made of cherries | a jar of ___ | he likes ___ with butter",
       "traffic", "cars stood in a ___ | the ___ lasted for hours | an accident caused the ___ | the bus was late because of a ___")  # fmt: skip
_sense("yard", "garden", "the dog plays in the ___ | hens ran in the ___ | leaves covered the ___ | a swing hangs in the ___",
       "length", "the cloth is one ___ long | the ball rolled a ___ | he measured a ___ of rope | a ___ is three feet")  # fmt: skip

# --- names, all invented --------------------------------------------------------------------------


def invent_names(
    count: int, seed: int, endings: tuple[str, ...], taken: set[str]
) -> tuple[str, ...]:
    """`count` pronounceable names that are in neither the lexicon nor `taken` (which they join)."""
    rng = random.Random(seed)
    onsets = [
        "b",
        "br",
        "c",
        "d",
        "dr",
        "f",
        "g",
        "gr",
        "h",
        "j",
        "k",
        "l",
        "m",
        "n",
        "p",
        "r",
        "s",
        "st",
        "t",
        "tr",
        "v",
        "w",
        "z",
    ]
    names: list[str] = []
    while len(names) < count:
        name = rng.choice(onsets) + rng.choice("aeiou") + rng.choice("lmnrtdkv")
        name += rng.choice(endings)
        if 4 <= len(name) <= 9 and name not in taken:
            taken.add(name)
            names.append(name)
    return tuple(names)
