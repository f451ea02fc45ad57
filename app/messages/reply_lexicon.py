"""The words `stop_words` knows, by what they do in a reply: nine languages, and misspellings people really send.

In lower case, without accents, apostrophes and hyphens. Left out on purpose because they are everyday words elsewhere:
FIN (Swedish "nice"), FINE (Italian "end"), SLUT (Danish "end"), YES (an answer to anything). The English keywords are
those of the carriers (CTIA Short Code Monitoring Handbook) and of 47 CFR 64.1200(a)(10): stop, quit, end, revoke,
opt out, cancel, unsubscribe.
"""

from __future__ import annotations

from enum import Enum, auto


class Strength(Enum):
    """What has to stand around a keyword before it is a request to stop."""

    CLEAR = auto()
    """Says by itself what is meant, anywhere in a clause that does not turn it round."""
    STRONG = auto()
    """The usual keyword, and an everyday word too."""
    WEAK = auto()
    """A keyword only where it stands alone, or with what is to end: "cancel my subscription"."""
    NEGATED = auto()
    """Half a request: "I do not want …"."""
    VERBAL = auto()
    """A verb of writing, forbidden: "do not text …"."""


def _set(words: str, phrases: str = "") -> frozenset[str]:
    """Single words separated by blanks, and phrases separated by commas."""
    return frozenset(words.split()) | {" ".join(phrase.split()) for phrase in phrases.split(",") if phrase.strip()}


_CLEAR = _set(
    """unsubscribe unsub unsubscibe unsubcribe unsuscribe unsubscrible abbestellen abmeldung desinscription desinscrire
    desabonner desabonnement desabonnez desuscribir desuscribirme disiscrivi disiscrivimi disiscrivermi
    disiscrizione cancellami rimuovimi uitschrijven descadastrar descadastre wypisz wypiszcie wypisac avregistrera
    avprenumerera avanmal frameld отписаться отписка 退订 退訂""",
    """un subscribe, i unsubscribed, already unsubscribed, opt me out, remove me, take me off, remove my number, delete
    my number, delete me, remove this number, take this number off, lose my number, leave me alone, make it stop,
    make this stop, make them stop, keine weiteren nachrichten, keine weiteren sms, keine nachrichten mehr, keine
    sms mehr, keine mails mehr, keine werbung, nicht mehr schreiben, nichts mehr schicken, nichts mehr senden,
    nichts mehr zusenden, lasst mich in ruhe, melden sie mich ab, meldet mich ab, ne plus recevoir, plus de sms,
    plus de messages, plus de pub, ne menvoyez plus, no mas mensajes, no mas sms, dar de baja, darme de baja, denme
    de baja, dadme de baja, no quiero recibir, no me envien, non voglio ricevere, non voglio piu, basta sms, basta
    messaggi, geen sms meer, geen berichten meer, geen reclame, nao quero receber, nao quero mais, nie chce
    otrzymywac, nie wysylajcie, inga fler sms, ikke flere sms, meld meg av, meld mig fra,
    be removed from, off this list, off your list, off the list, off your mailing list, remove my phone number,
    delete my phone number, remove my cell, i want out, aus dem verteiler, aus der liste, no me manden, no me mandes,
    no me envies, dame de baja, lose this number, no quiero mas,
    ne veux plus recevoir, ne souhaite plus recevoir, ne voulons plus recevoir, nie wysylac, nie wysylaj""",
)
_STRONG = _set(
    """stop stopp stpo sotp stahp stopall optout arret arretez arreter abmelden stoppen baja alto basta parar pare
    parem sair afmelden avmeld avmelde avsluta avslutt afmeld stoppa stoppe przestan przestancie стоп στοπ""",
    """opt out, no more, dont send, do not send, hort auf, hoert auf, aufhoren, aufhoeren, horen sie auf,
    hoeren sie auf, sluta skicka, deja de, dejen de, will you
    stop, if you dont stop, if u dont stop, if you do not stop, why dont you stop, why wont you stop""",
)
_WEAK = _set(
    """cancel end quit revoke remove ende beenden kundigen kuendigen widerruf loschen loeschen resilier cancela
    cancelar eliminar salir detener cancella annulla opzeggen einde remover koniec rezygnuje rezygnacja anuluj slutt
    sluta para""",
    "quiero cancelar, quero cancelar, fuck off, piss off, go away",
)
_NEGATED = _set(
    "",
    """dont want, do not want, dont wish, do not wish, dont need, do not need, no longer want, no longer wish, not
    want, dont keep, do not keep, mochte keine, moechte keine, will keine, nie chce""",
)
_VERBAL = frozenset(
    f"{negation} {verb}"
    for negation in ("dont", "do not", "never", "dont ever", "do not ever", "never ever")
    for verb in ("text", "txt", "message", "msg", "sms", "contact", "spam", "email", "bother", "write")
)

STOP_KEYS: dict[str, Strength] = {
    **dict.fromkeys(_CLEAR, Strength.CLEAR),
    **dict.fromkeys(_STRONG, Strength.STRONG),
    **dict.fromkeys(_WEAK, Strength.WEAK),
    **dict.fromkeys(_NEGATED, Strength.NEGATED),
    **dict.fromkeys(_VERBAL, Strength.VERBAL),
}
START_KEYS = _set("start unstop subscribe resubscribe optin anmelden aanmelden alta", "opt in")
HELP_KEYS = _set("help info information hilfe aide ayuda aiuto hulp ajuda pomoc hjalp hjaelp hjelp")

FILLERS = _set(
    """please pls plz plse plss kindly thanks thank thx ty ok okay k hi hello hey dear sir madam sorry no nope yes now
    you immediately asap today just bitte danke jetzt sofort hallo ja nein svp stp merci bonjour non oui por
    favor gracias hola ya per favore grazie ciao subito alsjeblieft alstublieft aub dank bedankt obrigado obrigada
    prosze dziekuje tack tak takk snalla venligst vennligst""",
    "",
)
"""Politeness and haste: may stand around any keyword."""
PREFIXES = FILLERS | _set(
    """i id im we you u to want wanna wish would like need needs have has must should can could how do told tell asked
    asking said say saying already again really so and but then reply text txt send sms word message it this these
    that all me my ich mochte moechte will mich mir sie kann man wie und aber je veux voudrais souhaite vous pouvez
    quiero quisiera deseo me dar de a voglio vorrei ik wil me mij graag quero gostaria eu chce jag vill jeg vil"""
)
"""With which a request begins: "I would like you to …"."""
REST = PREFIXES | _set(
    """us them those the any of from your our on for with more further future anymore ever everything anything every
    day daily week month hour minute morning night time times much many such too damn fucking freaking bloody stupid
    annoying unwanted unsolicited automated automatic marketing promotional promo commercial sending send receive
    receiving getting get keep bombarding forever number phone cell mobile name weitere diese die der das den alle
    mehr zu schicken senden schreiben erhalten le la les des du de vos ces moi envoyer menvoyer recevoir los las el
    sus enviar enviarme mandar mandarme recibir questi i gli di da deze het van naar mnie tych te wiecej alla alle
    fler flere met ermee aux right away"""
)
"""What may stand between a keyword and what is to stop, or end a request: "… sending me any more of those …"."""
ENDINGS = _set("opt out end cancel quit unsubscribe stop stopp stopall")
"""What people copy from our own text: "STOP to opt out"; and keywords said twice."""
CONTACTS = _set(
    """text txt message msg sms contact spam email texting txting messaging msging spamming contacting emailing mailing
    writing calling bothering harassing pestering bugging annoying texts txts messages msgs mms spams mail mails
    emails newsletter newsletters notification notifications alert alerts update updates reminder reminders offers
    ads advert adverts advertising advertisements advertisement promos promotions list lists subscription
    subscriptions subscribing communication communications campaign campaigns consent crap shit bullshit junk
    garbage rubbish nonsense stuff nachricht nachrichten werbung zusendung zusendungen publicite publicites pub pubs
    mensaje mensajes publicidad promociones messaggi messaggio pubblicita bericht berichten reclame mensagem
    mensagens publicidade propaganda wiadomosci wiadomosc smsow reklam reklamy meddelanden meddelande beskeder
    news wasting suscripcion assinatura inscricao abonnement iscrizione besked meldinger melding reklame abo"""
)
"""What is to stop: being written to."""
OBJECTS = _set("me us this my again anymore any here")
"""What follows a forbidden verb of writing: "do not text me"; not "do not text while driving"."""
BREAKS = _set("or because cause i im ill ive otherwise else weil sonst oder porque parce")
"""Where the request is over and its reason begins."""
TURNING = _set(
    """dont not never wont wouldnt couldnt shouldnt didnt doesnt havent if unless did nicht nie niemals wenn falls
    bevor bekomme erhalte kriege ne jamais recois nunca cuando non mai niet nooit als krijg nao nem nie inte aldrig
    ikke aldri""",
    "when i, when you, when we, before i, before you, no quiero, no deseo, no voy",
)
"""Turn a request round when they stand shortly before it."""
NOT_TURNING = _set("", "can not, could not, i not")
"""A complaint about a wish that was not granted: "I can not unsubscribe"."""
NOT_AFTER = _set(
    """the a an next bus last first train tram pit full one every each non cant cannot couldnt not ill will gonna we
    they he she who hard didnt"""
)
"""Directly before a keyword: then it is a noun, or somebody's own doing ("the stop", "I'll stop")."""
FRESH = _set("please pls plz plse plss kindly bitte svp interested")
"""After these a request begins anew, whatever stood before: "wrong number please stop", "not interested stop"."""
PLACES = _set("by at in over off near here there and n sign light watch")
"""After STOP in capitals: then it is a sentence, not a keyword with the name of a list."""
