"""Prompts of about N tokens: common English words, each a token of its own in most vocabularies."""

import random

WORDS = """time year people way day man thing woman life child world school state family student group
country problem hand part place case week company system program question work government number night
point home water room mother area money story fact month lot right study book eye job word business
issue side kind head house service friend father power hour game line end member law car city community
name president team minute idea body information back parent face others level office door health person
art war history party result change morning reason research girl guy moment air teacher force education
the of and to in that it with as for was on are be at by this had not but from or have they which one
you were all her she there would their we him been has when who will more no if out so said what up its
about than into them can only other new some could these two may then do first any my now such like our
over me even most made after also did many before must through years where much your well down should
because each just those people how too little good very make still own see men work long get here between
both life being under never day same another know while last might us great old year off come since
against go came right used take three""".split()


def prompt(n_words, seed, shared=0):
    """n_words words; the first `shared` of them are the same for every seed."""
    common, own = random.Random(0), random.Random(seed + 1)
    words = [common.choice(WORDS) for _ in range(min(shared, n_words))]
    words += [own.choice(WORDS) for _ in range(n_words - len(words))]
    return " ".join(words)
