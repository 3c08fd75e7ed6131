"""What the catalogue's quantities are called in tables of several languages: whole phrases, as they head a column.

Words are compared without capitals, accents, order, and those that say nothing of a quantity ("number of", "per day",
"total"); units stand in the column's name, not here. A phrase that means two quantities is not listed: a column that is
not recognised is a guess that says so, one that is taken for another is wrong.
"""

from __future__ import annotations

#: By a name of the catalogue, or an alias without a unit: English, German, French, Spanish, Italian, Portuguese,
#: Dutch, Swedish, Danish, Norwegian, Finnish, Polish.
PHRASES: dict[str, str] = {
    "age": "age at visit|age at baseline|patient age|wiek",
    "bmi": "body mass index|body-mass-index|indice de masse corporelle|indice de masa corporal|"
    "indice di massa corporea|indice de massa corporal|painoindeksi|wskaznik masy ciała",
    "hba1c": "glycated hemoglobin|glycated haemoglobin|glycosylated hemoglobin|hemoglobin a1c|haemoglobin a1c|"
    "hemoglobine glyquee|hemoglobina glicosilada|hemoglobina glucosilada|hemoglobina glicada|emoglobina glicata|"
    "glykiertes hamoglobin",
    "systolic_bp": "systolic|systolic blood pressure|systolic pressure|blood pressure systolic|bp systolic|sys bp|"
    "systolischer blutdruck|blutdruck systolisch|pression arterielle systolique|pression systolique|"
    "tension arterielle systolique|ta systolique|presion arterial sistolica|presion sistolica|"
    "tension arterial sistolica|tension sistolica|pressione arteriosa sistolica|pressione sistolica|"
    "pressao arterial sistolica|pressao sistolica|systolische bloeddruk|bloeddruk systolisch|systoliskt blodtryck|"
    "systolisk blodtryk|systolisk blodtrykk|systolinen verenpaine|cisnienie skurczowe",
    "diastolic_bp": "diastolic|diastolic blood pressure|diastolic pressure|blood pressure diastolic|bp diastolic|"
    "dia bp|diastolischer blutdruck|blutdruck diastolisch|pression arterielle diastolique|pression diastolique|"
    "tension arterielle diastolique|ta diastolique|presion arterial diastolica|presion diastolica|"
    "tension arterial diastolica|tension diastolica|pressione arteriosa diastolica|pressione diastolica|"
    "pressao arterial diastolica|pressao diastolica|diastolische bloeddruk|bloeddruk diastolisch|"
    "diastoliskt blodtryck|diastolisk blodtryk|diastolisk blodtrykk|diastolinen verenpaine|cisnienie rozkurczowe",
    "sleep_min": "total sleep|total sleep time|time asleep|tst|tempo di sonno|tempo de sono|tiempo de sueno|"
    "temps de sommeil|schlafzeit|gesamtschlafzeit|gesamtschlafdauer|tijd geslapen|uni|unen kesto|unen pituus|"
    "czas snu|długosc snu|snu",
    "deep_sleep": "tiefschlaf|sommeil profond|sueno profundo|sonno profondo|sono profundo|diepe slaap|djupsomn|"
    "dyb søvn|dyp søvn",
    "rem_sleep": "rem schlaf|sommeil rem|sommeil paradoxal|sueno rem|sonno rem|sono rem|rem slaap|rem somn|rem søvn",
    "light_sleep": "leichtschlaf|leichter schlaf|sommeil leger|sueno ligero|sonno leggero|sono leve|lichte slaap|"
    "latt somn|let søvn|lett søvn",
    "sleep_efficiency": "schlafeffizienz|efficacite du sommeil|eficiencia del sueno|efficienza del sonno|"
    "eficiencia do sono|slaapefficientie|somneffektivitet",
    "steps": "pas|kroki|krokow|askelmaara|schrittanzahl",
    "sedentary_min": "sedentary|sedentary behaviour|sedentary behavior|sitting|sedentar|sitzende|sitzend|sedentaire|"
    "sedentaires|inactivite|sedentario|sedentarios|sedentaria|sedentari|sedentarieta|sedentarismo|sedentariedad|"
    "sedentair|zittijd|stillasittande|stillesiddende|stillesittende|istuminen",
    "lightly_active_min": "light activity|light physical activity|leichte aktivitat|activite legere|actividad ligera|"
    "attivita leggera|atividade leve|lichte activiteit|latt aktivitet",
    "moderately_active_min": "moderate activity|moderate physical activity|massige aktivitat|moderate aktivitat|"
    "activite moderee|actividad moderada|attivita moderata|atividade moderada|matige activiteit|mattlig aktivitet",
    "very_active_min": "vigorous activity|vigorous physical activity|intensive aktivitat|activite intense|"
    "activite vigoureuse|actividad vigorosa|actividad intensa|attivita intensa|attivita vigorosa|"
    "atividade vigorosa|atividade intensa|zware activiteit|intensieve activiteit",
    "active_min": "aktivitatsminuten|aktivminuten|aktive|actives|activos|attivi|ativos|actieve",
    "hr_mean": "mean heart rate|average heart rate|heart rate mean|mean pulse|mittlere herzfrequenz|"
    "durchschnittliche herzfrequenz|durchschnittspuls|frequence cardiaque moyenne|fc moyenne|"
    "frecuencia cardiaca media|fc media|frecuencia cardiaca promedio|frequenza cardiaca media|"
    "frequencia cardiaca media|gemiddelde hartslag|medelpuls|gjennomsnittspuls",
    "resting_hr": "resting heart rate|resting pulse|rhr|ruhepuls|puls in ruhe|ruheherzfrequenz|herzfrequenz in ruhe|"
    "frequence cardiaque au repos|frequence cardiaque de repos|fc au repos|fc de repos|pouls au repos|"
    "frecuencia cardiaca en reposo|fc en reposo|pulso en reposo|frequenza cardiaca a riposo|fc a riposo|"
    "frequencia cardiaca em repouso|frequencia cardiaca de repouso|fc em repouso|fc de repouso|"
    "rusthartslag|hartslag in rust|rustpols|vilopuls|hvilepuls|leposyke|tetno spoczynkowe",
    "rmssd": "hrv rmssd|heart rate variability rmssd",
    "breathing_rate_brpm": "respiratory rate|respiration rate|breathing rate|atemfrequenz|frequence respiratoire|"
    "frecuencia respiratoria|frequenza respiratoria|frequencia respiratoria|ademhalingsfrequentie|andningsfrekvens",
    "spo2": "oxygen saturation|blood oxygen|sauerstoffsattigung|saturation en oxygene|saturacion de oxigeno|"
    "saturazione di ossigeno|saturazione ossigeno|saturacao de oxigenio|zuurstofsaturatie|syremattnad",
    "glucose_mean": "mean glucose|average glucose|mittlere glukose|mittlerer blutzucker|glycemie moyenne|"
    "glucose moyen|glucosa media|glucemia media|glucosa promedio|glicemia media|glucosio medio|glicose media|"
    "gemiddelde glucose|gemiddelde bloedsuiker|medelglukos",
    "time_in_range_pct": "time in range|tir|zeit im zielbereich|temps dans la cible|tiempo en rango|tempo nel range|"
    "tempo no alvo|tijd binnen bereik",
    "screen_time_min": "screen time|screen|bildschirmzeit|ecran|pantalla|schermo|tela|schermtijd|skarmtid|skjermtid|"
    "skærmtid|ruutuaika",
    "weight_kg": "body weight|weight|korpergewicht|gewicht|poids|poids corporel|peso|peso corporal|peso corporeo|"
    "lichaamsgewicht|vikt|kroppsvikt|vægt|vekt|paino|masa ciała",
    "waist_cm": "waist|waist circumference|abdominal circumference|taillenumfang|bauchumfang|tour de taille|"
    "circonference de la taille|circonference abdominale|perimetre abdominal|perimetro abdominal|"
    "perimetro de cintura|circunferencia de cintura|circunferencia de la cintura|circunferencia abdominal|"
    "circunferencia da cintura|circonferenza vita|circonferenza addominale|girovita|tailleomtrek|buikomvang|"
    "middelomtrek|midjematt|midjeomkrets|livvidde|vyotaronymparys|obwod talii",
    "cholesterol_mgdl": "total cholesterol|cholesterol total|gesamtcholesterin|cholesterol totale|colesterol total|"
    "colesterolo totale|totaal cholesterol|totalkolesterol",
    "alcohol_g": "alcohol intake|alcohol consumption|alkoholkonsum|consommation d alcool|consumo de alcohol|"
    "consumo di alcol|consumo de alcool",
    "caffeine_mg": "caffeine intake|cafeine|koffein|cafeina|caffeina",
}
