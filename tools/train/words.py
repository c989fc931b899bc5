"""Word lists, random names and random identifiers for the training texts.

Our own lists: everyday English, so that a text of any kind is cut into few pieces. Pseudo-words
made of syllables stand for the words that no list holds.
"""

import random

NOUNS = """
acorn actor address adventure airport album alley almanac almond amber anchor angle animal ankle
answer anvil apple apricot apron arch arena arm armor arrow artist ash atlas attic aunt author
autumn avenue award awning axe axle baby badge badger bag baker balance balcony ball balloon bamboo
banana band bank banner barge bark barley barn barrel basin basket bat bath battery bay beach
beacon bead beam bean bear beard beaver bed bee beetle bell belt bench berry bicycle bird biscuit
blade blanket block blossom board boat body bolt bone bonnet book boot border bottle boulder bow
bowl box boy bracelet bracket branch brass bread breakfast breeze brick bridge broom brother brush
bubble bucket budget buffalo builder building bulb bull bundle buoy bus bush butcher butter button
cabin cabinet cable cactus cafe cage cake calendar camel camera camp canal candle candy canoe
canvas canyon cap captain car caravan card cargo carpet carriage carrot cart cask castle cat cave
ceiling cellar center century cereal chain chair chalk chamber chance channel chapel chapter
charcoal chart cheese chef cherry chess chest chicken chief child chimney chin chisel choir church
cider cinema circle circus cistern city clamp class clay clerk cliff climate cloak clock cloth
cloud clover club coach coal coast coat cobra coconut coffee coil coin collar college colony color
column comb comet compass concert cook copper coral cord corn corner cottage cotton couch country
county course court cousin cow crab cradle crane crate crayon cream creek cricket crocodile cross
crow crowd crown crystal cube cup curtain cushion custom cymbal dairy daisy dam dance dancer
darkness date daughter dawn day deck deer desert desk dessert detail dial diamond diary dinner dirt
disc dish ditch dock doctor dog doll dolphin donkey door dove dragon drain drawer dream dress
driver drum duck dune dust eagle ear earth east echo edge editor eel egg elbow elder elephant elk
ember emerald empire engine engineer entrance envelope evening event exit eye eyebrow fabric face
factory fair falcon family fan farm farmer father feast feather fence fern ferry festival fever
fiddle field fig figure film filter finch finger fire fish fist flag flame flamingo flask flavor
flax fleet flock flood floor flour flower flute fly foal fog folder food foot forest forge fork
fort fossil fountain fox frame freckle friend frog front frost fruit fuel funnel fur furnace
gallery game garage garden garlic garnet gate gauge gazelle gear gecko gem general ghost giant gift
ginger giraffe girl glacier glass globe glove glue goat goblet gold goose gorilla governor grain
grandmother granite grape grass gravel grocer ground grove guard guest guide guitar gull gun guppy
gutter habit hail hair hall hallway hammer hammock hand handle harbor harbour hare harness harp
harvest hat hatch hawk hay hazel head heart heat hedge heel helmet hen herb herd hero heron hill
hinge hive hobby hockey hole holiday home honey hood hoof hook horizon horn horse hospital hotel
hour house hunter hut ice iceberg idea iguana image inch ink inn insect instrument invention iris
iron island ivory ivy jacket jaguar jam jar jasmine jaw jay jelly jewel job joke journal journey
judge jug juice jungle juniper jury kangaroo kayak kettle key kiln kingdom kitchen kite kitten knee
knife knight knot koala label lace ladder lady lake lamb lamp land language lantern lark lathe
laundry lava law lawn lawyer leader leaf leather lecture ledge ledger leg lemon lemur lens leopard
lesson letter lettuce lever library lid light lighthouse lilac lily lime line linen lion lip liquid
list lizard llama lobster lock locket log loom lord lotus lumber lunch lynx machine magazine magnet
magpie mail mallet mango manor mansion map maple marble margin market marsh mask mason mast mat
match matter mayor maze meadow meal measure meat medal medicine melody melon member memory merchant
metal meteor middle midnight mile milk mill miller mine mineral minister mint minute mirror mist
mitten model mole moment monastery money monitor monk monkey month monument moon moose morning
mortar mosaic moss moth mother motor mountain mouse mouth movie mud muffin mug mule museum mushroom
music musician mustard nail name napkin nation nature neck necklace needle neighbor nest net
network news newspaper newt night nightmare noise noodle noon north nose note notebook novel nugget
number nurse nut oak oar oasis oat ocean octopus office officer oil olive onion opal opera orange
orbit orchard orchestra orchid order organ osprey ostrich otter oven owl owner ox oyster package
paddle page pail paint painter painting palace palm pan panda panel panther paper parade parcel
park parrot parsley part partner party passage passenger pasta path patient pattern pavement peach
peacock peak peanut pear pearl pebble pedal pelican pen pencil penguin people pepper perfume person
phone photo piano picture pie pier pig pigeon pillar pillow pilot pin pine pipe pirate piston
pitcher place plain plan planet plank plant plate platform player plaza plough plum pocket poem
poet point polar pole policy pond pony pool poppy porch port porter post poster pot potato potter
powder prairie present president press price priest prince print prison prize problem product
professor program project pudding puddle pulley pump pumpkin puppet puppy purse puzzle pyramid
python quail quarry quarter queen question quill quilt quiver rabbit raccoon radar radio radish
raft rail railway rain rainbow raisin rake ranch range ranger raven razor reader reason record reed
reef region report reptile resident result ribbon rice riddle rider ridge ring river road robe
robin robot rock rocket roof room root rope rose route ruby rudder rug ruler runner sack saddle
safe sail sailor salad salmon salt sand sandal sandwich sapphire satchel sauce saucer saw scale
scarf scene school science scientist scissors scooter scout screen screw sea seal season seat
secret section seed servant shade shadow shape shark shed sheep sheet shelf shell shelter shield
ship shirt shoe shop shore shoulder shovel shrimp side sign signal silk silver singer sink sister
skate sketch skirt skull sky slate sled sleeve slipper slope snail snake snow soap society sock
soldier son song soup source south space spade sparrow speech spice spider spinach spindle spirit
sponge spoon spring spruce square squash squid squirrel stable stadium staff stage stair stamp star
starfish state station statue steam steel stem step stew stick stocking stone stool store stork
storm story stove stranger strap straw stream street string student studio subject submarine suburb
sugar suit summer sun sunflower supper surface surgeon swallow swamp swan sweater switch sword
symbol system table tail tailor tale talent tank tape target tavern tea teacher team teapot temple
tent term terrace theater theory thief thimble thing thistle thorn thread throat throne thumb
thunder ticket tide tiger tile timber time tin title toad toast toe tomato tongue tool tooth topaz
torch tortoise toucan towel tower town toy track tractor trade trail train tray treasure tree
trench trial triangle tribe trick trolley trout truck trumpet trunk trust truth tulip tunnel
turbine turkey turnip turtle twig uncle uniform union unit universe urn valley value valve van vase
vault vegetable vehicle veil velvet verse vessel vest victory view villa village vine vinegar
violet violin viper visit visitor voice volcano volume voyage vulture wagon waist waiter wall
wallet walnut walrus warrior wasp watch water wave wax weasel weather wedge week weight well west
whale wheat wheel whisker whistle widow willow wind window wine wing winter wire wish witness
wizard wolf woman wombat wonder wood wool word work worker workshop world worm wreath wren wrench
wrist writer yacht yak yard yarn year yogurt zebra zipper zoo
""".split()

ADJECTIVES = """
abrupt absent active actual agile alert alive ample ancient angry angular annual anxious apparent
aquatic arctic arid ashen awake aware awful awkward bald bare basic beautiful bent better big
bitter black blank bleak blind blond blue blunt bold brave brief bright brisk brittle broad broken
brown bumpy busy calm careful careless cautious central certain charming cheap cheerful chilly
chosen civil classic clean clear clever close cloudy clumsy coarse cold colorful comic common
complete complex content cool correct costly cozy crazy crisp crooked crude cruel curious curly
current curved daily damp daring dark dear decent deep delicate dense direct dirty distant divine
dizzy domestic double dramatic dry dull dusty dutiful eager early earnest eastern easy edible elder
elegant empty endless equal eternal even exact excited exotic expert extra faded faint fair
faithful false familiar famous fancy fast fatal favorite fearless fertile fierce final fine firm
flat fluffy foggy fond foolish foreign formal fragile frank free frequent fresh friendly frosty
frozen full funny furry fuzzy general gentle genuine giant giddy glad gleaming gloomy glorious
golden good graceful grand grateful grave gray greasy great greedy green grey grim gritty grumpy
guilty hairy handsome handy happy hard harsh hasty healthy heavy helpful helpless hidden high
hollow holy honest hopeful horrible hot huge humble humid hungry husky icy ideal idle immense inner
innocent jagged jolly joyful juicy keen kind known large lasting late lavish lazy lean legal level
light little lively local lonely long loose lost loud lovely low loyal lucky lush lyrical magic
major married marvellous massive mature meek mellow merry messy mighty mild minor misty modern
modest moral muddy mute mystic naive narrow nasty native natural near neat nervous new nice nimble
noble noisy normal northern novel numb obvious odd official old open opposite orange ordinary
original outer oval pale past patient peaceful perfect perky petty pink placid plain playful
pleasant plump polite poor popular possible powerful precious pretty prime private prompt proper
proud public pure purple quaint quick quiet rainy rapid rare raw ready real recent red regal
regular remote restless rich rigid ripe robust rocky rosy rotten rough round royal rude rural rusty
sacred sad safe salty sandy scarce secret secure senior sensible separate serious shaggy shallow
sharp shiny short shy silent silky silly simple sincere single skillful sleepy slender slick slight
slim slippery slow small smart smooth sneaky snowy sober social soft solar solemn solid sour
southern spare sparkling special spicy splendid square stable stale stark steady steep sticky stiff
still stormy stout straight strange strict striped strong stubborn sturdy subtle sudden sunny super
sure sweet swift tall tame tangy tart tasty teal tender tense terrible thick thin thirsty
thoughtful tidy tight tiny tired tough tragic tranquil tricky true trusty twin typical ugly unique
united unknown upbeat upper urban useful usual vacant vague vain valid vast velvet vibrant violet
vital vivid wandering warm wary wasteful watchful weak wealthy weary western wet white whole wicked
wide wild willing windy wise witty wonderful wooden woolen worn worthy wrong yellow young zany
zealous
""".split()

# Regular verbs only: their forms are made by rule.
VERBS = """
accept admire admit adopt advise agree allow announce answer appear arrange arrive ask attend avoid
bake borrow bother bless boil bounce brush call carry cause change chase clean climb close collect
compare complain consider contain cook copy correct count cover cross dance decide decorate deliver
describe destroy discover discuss divide doubt dress drop dust earn enjoy enter escape examine
expect explain explore fasten fetch fill finish fix float fold follow gather greet guard guess
guide happen hate help hope hunt hurry imagine improve include inform inspect invent invite join
jump kick kiss knock land laugh launch learn lift like listen live load lock look love manage mark
measure melt mend mention mix move multiply need notice obey observe offer open order own pack
paint park pass pause plan plant play point polish pour practice praise prefer prepare present
press pretend prevent print produce promise protect provide pull push question race reach realize
receive recognize record refuse remain remember remind remove repair repeat replace reply report
rescue rest return roll rub rush sail save search seem serve settle shout sign skip slip smell
smile sound start stay step stir stop store study suggest support suppose surprise talk taste
thank touch trade train travel treat trust try turn use visit wait walk wander want warn wash waste
watch water whisper whistle wish wonder work worry wrap
""".split()

ADVERBS = """
again almost already always anyway apart barely briefly calmly carefully clearly closely daily
deeply directly early easily eagerly elsewhere entirely even eventually exactly fairly finally
firmly gently gladly gradually happily hardly here instead just lately later loudly mostly nearly
neatly never nowhere often once only openly perhaps politely quickly quietly rarely rather really
recently sadly safely seldom sharply silently simply slowly softly somehow sometimes soon still
suddenly surely tenderly there therefore together twice usually warmly well wisely yesterday
""".split()

# What ties sentences of any kind together.
FUNCTION_WORDS = """
a about above across after against all along also am among an and another any are around as at away
back be because been before behind being below beside between beyond both but by can could did do
does done down during each either else ever every few first five for four from given had has have he
her hers him his how however i if in inside into is it its last least less many may me might more
most much must my near neither next no none nor not nothing of off on one onto or other our out over
own per rather same second seven several shall she should since six so some something such ten than
that the their them then these they third this those though three through thus to too toward two
under until up upon us very was we were what when where whether which while who whom whose why will
with within without would yes yet you your
""".split()

ONSETS = ["b", "bl", "br", "c", "ch", "cl", "cr", "d", "dr", "f", "fl", "fr", "g", "gl", "gr", "h",
          "j", "k", "l", "m", "n", "p", "pl", "pr", "qu", "r", "s", "sc", "sh", "sk", "sl", "sm",
          "sn", "sp", "st", "str", "t", "th", "tr", "v", "w", "y", "z", ""]
VOWELS = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ee", "ou", "oo", "ie"]
CODAS = ["", "", "", "b", "ck", "d", "g", "l", "ll", "m", "n", "nd", "ng", "nt", "p", "r", "rd",
         "rn", "s", "ss", "st", "t", "x"]
HEX = "0123456789abcdef"


def past(verb):
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    if verb in ("admit", "drop", "hop", "plan", "prefer", "rub", "skip", "slip", "step", "stir",
                "stop", "wrap"):
        return verb + verb[-1] + "ed"
    return verb + "ed"


def ing(verb):
    stem = past(verb)[:-2]
    if verb.endswith("y"):
        stem = verb
    return stem + "ing"


def plural(noun):
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def third(verb):
    return plural(verb)


def pseudo_word(rng: random.Random):
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
                   for _ in range(rng.choice((1, 2, 2, 2, 3, 3)))) or "a"


def pair(rng: random.Random):
    """adjective-noun, the form of RULER's word keys and values."""
    kind = rng.random()
    if kind < 0.8:
        return f"{rng.choice(ADJECTIVES)}-{rng.choice(NOUNS)}"
    if kind < 0.9:
        return f"{rng.choice(ADJECTIVES)}-{pseudo_word(rng)}"
    return f"{pseudo_word(rng)}-{pseudo_word(rng)}"


def number(rng: random.Random, digits=7):
    return str(rng.randrange(10 ** (digits - 1), 10 ** digits))


def uuid(rng: random.Random):
    """A version 4 UUID."""
    h = f"{rng.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"


def letters(rng: random.Random, n):
    return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=n))
