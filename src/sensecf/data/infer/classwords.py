"""What names of classes say, by language: words of a class to leave and to reach, degrees, negations, yes and no.

Words stand in small letters; `targets` compares them without accents. A new language is a line in each table here.
Adjectives stand in the forms that classes are named by. A word that means the opposite in another language of the
tables is left out of both.
"""

from __future__ import annotations

from collections.abc import Mapping

from sensecf.data.infer.names import bare

#: Classes to leave.
UNWANTED: Mapping[str, str] = {
    "en": "positive pos stress stressed stressful tense anxious disease diseased sick ill bad poor worse "
    "abnormal case diabetic diabetes prediabetes prediabetic present dead died death fail failed failure risk "
    "risky severe unhealthy unwell reject rejected denied declined malignant depressed obese overweight hypertensive "
    "hypertension tired exhausted default churn late unstable critical burnout insomnia apnea event relapse "
    "uncontrolled presence symptomatic hypotensive fall out hyper hypo hyperglycemic hyperglycaemic hypoglycemic "
    "hypoglycaemic",
    "de": "positiv krank kranke kranker erkrankt schlecht schlechte schlechter schlechtes gestresst diabetiker "
    "diabetikerin tot gestorben verstorben schwer schwere schwerer müde erschöpft "
    "auffällig risiko bösartig rückfall angespannt fall vorhanden hyperton",
    "fr": "positif positive malade mauvais mauvaise stressé stressée mort morte décédé décédée grave sévère cas "
    "fatigué fatiguée épuisé épuisée diabétique diabète risque anormal anormale malin maligne rechute présent "
    "présente hypertendu hypertendue "
    "tendu tendue",
    "es": "positivo positiva enfermo enferma malo mala estresado estresada estrés muerto muerta fallecido fallecida "
    "grave caso cansado cansada agotado agotada diabético diabética riesgo maligno maligna anormal "
    "recaída tenso tensa presente hipertenso hipertensa",
    "it": "positivo positiva malato malata cattivo cattiva scarso scarsa stressato stressata morto morta deceduto "
    "deceduta grave caso stanco stanca esausto esausta diabetico diabetica diabete rischio maligno "
    "maligna anormale ricaduta teso tesa presente iperteso ipertesa",
    "pt": "positivo positiva doente má mau ruim estressado estressada stressado stressada morto morta óbito falecido "
    "falecida grave caso cansado cansada exausto exausta diabético diabética risco maligno maligna "
    "anormal recaída tenso tensa presente hipertenso hipertensa",
    "nl": "positief ziek zieke slecht slechte gestrest gestresst dood overleden ernstig ernstige moe "
    "uitgeput diabetes risico kwaadaardig afwijkend gespannen",
    "sv": "positiv sjuk sjuka dålig dåligt stressad död avliden svår svårt allvarlig trött utmattad risk elakartad "
    "avvikande onormal återfall spänd",
    "da": "positiv syg syge dårlig dårligt stresset død afdød svær alvorlig træt udmattet risiko ondartet afvigende "
    "unormal tilbagefald anspændt",
    "no": "positiv syk syke dårlig stresset død avdød alvorlig sliten utslitt risiko ondartet avvikende unormal "
    "tilbakefall anspent",
    "fi": "positiivinen sairas huono stressaantunut kuollut vakava väsynyt uupunut riski pahanlaatuinen poikkeava",
    "pl": "pozytywny dodatni chory chora zły zła zestresowany zestresowana martwy zmarły zmarła ciężki ciężka zmęczony "
    "zmęczona ryzyko złośliwy nieprawidłowy",
    "cs": "pozitivní nemocný nemocná špatný špatná mrtvý zemřelý těžký unavený riziko zhoubný abnormální",
    "hu": "pozitív beteg rossz stresszes halott meghalt súlyos fáradt kockázat rosszindulatú kóros",
    "tr": "pozitif hasta kötü stresli ölü ölmüş ağır yorgun risk anormal",
    "ru": "положительный больной больная болен больна плохой плохо умер мертв тяжелый тяжелая устал риск "
    "злокачественный патология стресс диабет",
    "ja": "陽性 病気 疾患 疲労 悪性 異常 死亡 ストレス 糖尿病",
    "zh": "阳性 患病 疾病 生病 疲劳 恶性 异常 死亡 压力 糖尿病 陽性 異常",
    "ko": "양성반응 질병 환자 피로 악성 비정상 사망 스트레스 당뇨병",
}
#: Classes to reach.
WANTED: Mapping[str, str] = {
    "en": "negative neg normal healthy good better best absent control none benign calm relaxed "
    "alive survived pass passed approved accepted success rested stable ok fine recovered well remission show "
    "responder excellent fit euglycaemic euglycemic normotensive normoglycemic normoglycaemic normo controlled "
    "absence asymptomatic "
    "adequate sufficient optimal",
    "de": "negativ gesund gesunde gesunder gut gute guter gutes entspannt kontrolle kontrollgruppe kontrollperson "
    "lebend lebendig überlebt unauffällig ruhig gutartig erholt ausgeruht genesen keine keiner keines abwesend "
    "ausreichend normoton",
    "fr": "négatif négative sain saine bon bonne témoin vivant vivante calme détendu détendue normale bénin bénigne "
    "reposé reposée guéri guérie aucun aucune "
    "absent absente suffisant normotendu normotendue",
    "es": "negativo negativa sano sana bueno buena vivo viva relajado relajada tranquilo tranquila ausente bien "
    "benigno benigna descansado descansada curado curada ninguno ninguna saludable suficiente adecuado "
    "normotenso normotensa",
    "it": "negativo negativa sano sana buono buona vivo viva rilassato rilassata tranquillo tranquilla assente bene "
    "controllo normale benigno benigna riposato riposata guarito guarita nessuno nessuna sufficiente "
    "adeguato normoteso normotesa",
    "pt": "negativo negativa saudável são sã bom boa vivo viva relaxado relaxada calmo calma tranquilo tranquila "
    "ausente controle controlo benigno benigna descansado descansada curado curada nenhum nenhuma suficiente "
    "adequado",
    "nl": "negatief gezond gezonde goed goede ontspannen levend controle normaal goedaardig uitgerust hersteld genezen "
    "geen afwezig",
    "sv": "negativ frisk friska bra gott god lugn avslappnad levande kontroll normalt godartad utvilad inga "
    "ingen inget",
    "da": "negativ rask raske frisk god godt rolig afslappet levende kontrol normalt godartet udhvilet ingen intet",
    "no": "negativ frisk friske god godt bra rolig avslappet levende kontroll normalt godartet uthvilt utvilt ingen "
    "intet",
    "fi": "negatiivinen terve hyvä rauhallinen rentoutunut elossa verrokki kontrolli normaali levännyt hyvänlaatuinen",
    "pl": "negatywny ujemny zdrowy zdrowa dobry dobra spokojny spokojna żywy żyje kontrola kontrolna normalny normalna "
    "prawidłowy wypoczęty łagodny brak",
    "cs": "negativní zdravý zdravá dobrý dobrá klidný živý kontrola normální odpočatý nezhoubný žádný žádná",
    "hu": "negatív egészséges jó nyugodt élő kontroll normális kipihent jóindulatú",
    "tr": "negatif sağlıklı iyi sakin canlı kontrol dinlenmiş",
    "ru": "отрицательный здоровый здоровая здоров здорова хороший хорошо спокойный жив жива контроль норма "
    "нормальный нормально доброкачественный",
    "ja": "陰性 健康 正常 健常 対照 良好 良性 生存 なし",
    "zh": "阴性 健康 正常 对照 良好 良性 存活 生存 陰性",
    "ko": "음성 건강 정상 대조군 양호 생존 없음",
}
#: Degrees: low is the one to reach of what is bad (stress), high of what is good (fitness).
LOW: Mapping[str, str] = {
    "en": "low lower lowest",
    "de": "niedrig niedrige niedriger niedriges gering geringe geringer geringes tief",
    "fr": "faible bas basse",
    "es": "bajo baja",
    "it": "basso bassa",
    "pt": "baixo baixa",
    "nl": "laag lage",
    "sv": "låg låga lågt",
    "da": "lav lave lavt",
    "no": "lav lave lavt",
    "fi": "matala alhainen",
    "pl": "niski niska niskie",
    "cs": "nízký nízká nízké",
    "hu": "alacsony",
    "tr": "düşük",
    "ru": "низкий низкая низко",
    "ja": "低 低い",
    "zh": "低",
    "ko": "낮음",
}
HIGH: Mapping[str, str] = {
    "en": "high higher highest elevated raised",
    "de": "hoch hohe hoher hohes erhöht",
    "fr": "haut haute élevé élevée",
    "es": "alto alta",
    "it": "alto alta",
    "pt": "alto alta elevado elevada",
    "nl": "hoog hoge",
    "sv": "hög höga högt",
    "da": "høj høje højt",
    "no": "høy høye høyt",
    "fi": "korkea",
    "pl": "wysoki wysoka wysokie",
    "cs": "vysoký vysoká",
    "hu": "magas",
    "tr": "yüksek",
    "ru": "высокий высокая высоко",
    "ja": "高 高い",
    "zh": "高",
    "ko": "높음",
}
#: Words that turn what stands behind them round.
NEGATIONS: Mapping[str, str] = {
    "en": "not non no without never free",
    "de": "nicht kein keine keinen ohne",
    "fr": "ne pas sans aucun aucune",
    "es": "sin",
    "it": "senza nessun nessuno nessuna",
    "pt": "sem nenhum nenhuma não",
    "nl": "niet geen zonder",
    "sv": "ej inte icke utan ingen inga",
    "da": "ikke uden ingen",
    "no": "ikke uten ingen",
    "fi": "ei ilman",
    "pl": "nie bez brak",
    "cs": "ne bez žádný žádná",
    "hu": "nem nincs",
    "tr": "değil yok",
    "ru": "не нет без",
}
#: Answers to the question that the label's name asks.
YES: Mapping[str, str] = {
    "en": "yes y true positive pos",
    "de": "ja positiv",
    "fr": "oui positif",
    "es": "si positivo",
    "it": "si positivo vero",
    "pt": "sim positivo",
    "nl": "ja positief",
    "sv": "ja positiv",
    "da": "ja positiv",
    "fi": "kyllä positiivinen",
    "pl": "tak dodatni",
    "cs": "ano pozitivní",
    "hu": "igen pozitív",
    "tr": "evet pozitif",
    "ru": "да положительный",
    "ja": "はい 陽性",
    "zh": "是 阳性",
    "ko": "예 양성",
}
NO: Mapping[str, str] = {
    "en": "no n false negative neg",
    "de": "nein negativ",
    "fr": "non négatif",
    "es": "no negativo",
    "it": "no negativo falso",
    "pt": "não negativo",
    "nl": "nee neen negatief",
    "sv": "nej negativ",
    "da": "nej negativ",
    "no": "nei negativ",
    "fi": "ei negatiivinen",
    "pl": "nie ujemny",
    "cs": "ne negativní",
    "hu": "nem negatív",
    "tr": "hayır negatif",
    "ru": "нет отрицательный",
    "ja": "いいえ 陰性",
    "zh": "否 阴性",
    "ko": "아니오 음성",
}
#: Words of a label of which much is good.
GOOD_QUANTITIES: Mapping[str, str] = {
    "en": "quality wellbeing fitness mood recovery satisfaction health readiness adherence performance resilience calm "
    "survival happiness sleep energy affect outlook sentiment vitality",
    "de": "wohlbefinden schlafqualität qualität gesundheit schlaf stimmung fitness erholung zufriedenheit",
    "fr": "qualité santé sommeil humeur récupération satisfaction",
    "es": "bienestar calidad salud sueño ánimo recuperación",
    "it": "qualità salute sonno umore benessere recupero",
    "pt": "qualidade saúde sono humor recuperação",
    "nl": "kwaliteit gezondheid slaap slaapkwaliteit stemming welzijn herstel",
    "sv": "kvalitet hälsa sömn sömnkvalitet humör välmående återhämtning",
    "da": "kvalitet sundhed søvn søvnkvalitet humør trivsel",
    "no": "kvalitet helse søvn søvnkvalitet humør trivsel",
    "fi": "laatu terveys uni unenlaatu mieliala hyvinvointi",
    "pl": "jakość zdrowie sen nastrój",
}
#: Words of a label that make its 1, yes or true the class to reach.
WANTED_LABELS: Mapping[str, str] = {
    "en": "survived survival alive approved approval success successful healthy recovered recovery good pass passed "
    "accepted response responder remission paid repaid adherent adherence improved improvement normal rested "
    "wellbeing show quit cured healed well controlled",
    "de": "gesund genesen geheilt überlebt erholt gebessert ausgeruht entspannt",
    "fr": "sain guéri guérie survie survécu vivant reposé amélioré",
    "es": "sano curado curada sobrevivió vivo mejoría recuperado descansado",
    "it": "sano guarito guarita vivo sopravvissuto migliorato riposato",
    "pt": "saudável curado curada vivo sobreviveu melhora recuperado descansado",
    "nl": "gezond genezen hersteld overleefd levend uitgerust",
    "sv": "frisk överlevde överlevt återhämtad utvilad",
    "da": "rask overlevede helbredt udhvilet",
    "no": "frisk overlevde helbredet uthvilt",
    "fi": "terve parantunut elossa",
    "pl": "zdrowy wyleczony żyje",
}
#: Words of a label of feelings: there "positive" is no finding, and the class to reach.
FEELINGS: Mapping[str, str] = {
    "en": "mood affect sentiment outlook feeling feelings",
    "de": "stimmung gefühl affekt",
    "fr": "humeur affect",
    "es": "ánimo afecto humor",
    "it": "umore affetto",
    "pt": "humor afeto",
    "nl": "stemming gevoel",
    "sv": "humör känsla",
    "da": "humør følelse",
    "no": "humør følelse",
    "fi": "mieliala",
}


def words(by_language: Mapping[str, str]) -> frozenset[str]:
    """All words of a table, in small letters and without accents."""
    return frozenset(bare(word) for text in by_language.values() for word in text.split())
