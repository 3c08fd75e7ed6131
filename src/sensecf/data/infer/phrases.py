"""What the catalogue's quantities are called in tables of several languages: whole phrases, as they head a column.

Words are compared without capitals, accents, order, and those that say nothing of a quantity ("number of", "per day",
"total"); units stand in the column's name, not here. A phrase that means two quantities is not listed: a column that is
not recognised is a guess that says so, one that is taken for another is wrong.
"""

from __future__ import annotations

#: By a name of the catalogue, or an alias without a unit: English, German, French, Spanish, Italian, Portuguese,
#: Dutch, Swedish, Danish, Norwegian, Finnish, Polish, Czech, Hungarian, Greek, Turkish,
#: Russian, Chinese, Japanese, Korean.
PHRASES: dict[str, str] = {
    "age": "age at visit|age at baseline|patient age|wiek",
    "bmi": "body mass index|body-mass-index|indice de masse corporelle|indice de masa corporal|"
    "indice di massa corporea|indice de massa corporal|painoindeksi|wskaznik masy ciała|имт|индекс массы тела|"
    "体格指数|体质指数|體質指數|체질량지수|beden kitle indeksi|δείκτης μάζας σώματος",
    "hba1c": "glycated hemoglobin|glycated haemoglobin|glycosylated hemoglobin|hemoglobin a1c|haemoglobin a1c|"
    "hemoglobine glyquee|hemoglobina glicosilada|hemoglobina glucosilada|hemoglobina glicada|emoglobina glicata|"
    "glykiertes hamoglobin",
    "systolic_bp": "systolic|blutdruck systolic|pressao systolic|pressao arterial systolic|presion systolic|"
    "presion arterial systolic|pression systolic|pression arterielle systolic|pressione systolic|"
    "pressione arteriosa systolic|tension systolic|tension arterial systolic|tension arterielle systolic|"
    "bloeddruk systolic|blodtryck systolic|blodtryk systolic|blodtrykk systolic|systolic blood pressure|"
    "systolic pressure|blood pressure systolic|bp systolic|sys bp|systolischer blutdruck|blutdruck systolisch|"
    "pression arterielle systolique|pression systolique|tension arterielle systolique|ta systolique|"
    "presion arterial sistolica|presion sistolica|tension arterial sistolica|tension sistolica|"
    "pressione arteriosa sistolica|pressione sistolica|pressao arterial sistolica|pressao sistolica|"
    "systolische bloeddruk|bloeddruk systolisch|systoliskt blodtryck|systolisk blodtryk|systolisk blodtrykk|"
    "systolinen verenpaine|cisnienie skurczowe|систолическое давление|систолическое артериальное давление|収縮期血圧|"
    "最高血圧|收缩压|收縮壓|수축기혈압|수축기 혈압|sistolik kan basinci|systolický tlak",
    "diastolic_bp": "diastolic|blutdruck diastolic|pressao diastolic|pressao arterial diastolic|presion diastolic|"
    "presion arterial diastolic|pression diastolic|pression arterielle diastolic|pressione diastolic|"
    "pressione arteriosa diastolic|tension diastolic|tension arterial diastolic|tension arterielle diastolic|"
    "bloeddruk diastolic|blodtryck diastolic|blodtryk diastolic|blodtrykk diastolic|diastolic blood pressure|"
    "diastolic pressure|blood pressure diastolic|bp diastolic|dia bp|diastolischer blutdruck|blutdruck diastolisch|"
    "pression arterielle diastolique|pression diastolique|tension arterielle diastolique|ta diastolique|"
    "presion arterial diastolica|presion diastolica|tension arterial diastolica|tension diastolica|"
    "pressione arteriosa diastolica|pressione diastolica|pressao arterial diastolica|pressao diastolica|"
    "diastolische bloeddruk|bloeddruk diastolisch|diastoliskt blodtryck|diastolisk blodtryk|diastolisk blodtrykk|"
    "diastolinen verenpaine|cisnienie rozkurczowe|диастолическое давление|диастолическое артериальное давление|"
    "拡張期血圧|最低血圧|舒张压|舒張壓|이완기혈압|이완기 혈압|diyastolik kan basinci|diastolický tlak",
    "sleep_min": "total sleep|total sleep time|time asleep|tst|tempo di sonno|tempo de sono|tiempo de sueno|"
    "temps de sommeil|schlafzeit|gesamtschlafzeit|gesamtschlafdauer|tijd geslapen|uni|unen kesto|unen pituus|czas snu|"
    "długosc snu|snu|сон|продолжительность сна|длительность сна|время сна|睡眠|睡眠時間|总睡眠时间|睡眠时间|수면|"
    "수면시간|수면 시간|uyku süresi|uyku|délka spánku|spánek|alvás|ύπνος",
    "deep_sleep": "tiefschlaf|sommeil profond|sueno profundo|sonno profondo|sono profundo|diepe slaap|djupsomn|"
    "dyb søvn|dyp søvn",
    "rem_sleep": "rem schlaf|sommeil rem|sommeil paradoxal|sueno rem|sonno rem|sono rem|rem slaap|rem somn|rem søvn",
    "light_sleep": "leichtschlaf|leichter schlaf|sommeil leger|sueno ligero|sonno leggero|sono leve|lichte slaap|"
    "latt somn|let søvn|lett søvn",
    "sleep_efficiency": "schlafeffizienz|efficacite du sommeil|eficiencia del sueno|efficienza del sonno|"
    "eficiencia do sono|slaapefficientie|somneffektivitet",
    "steps": "pas|kroki|krokow|askelmaara|schrittanzahl|шаги|количество шагов|число шагов|歩数|步数|步數|걸음수|"
    "걸음 수|adım sayısı|adım|kroky|počet kroků|lépésszám|lépések|βήματα|koraci",
    "sedentary_min": "sedentary|sedentary behaviour|sedentary behavior|sitting|sedentar|sitzende|sitzend|sedentaire|"
    "sedentaires|inactivite|sedentario|sedentarios|sedentaria|sedentari|sedentarieta|sedentarismo|sedentariedad|"
    "sedentair|zittijd|stillasittande|stillesiddende|stillesittende|istuminen|座位時間|座位行動時間|久坐时间|久坐時間|"
    "좌식시간|좌식 시간|сидячее время|sezení",
    "lightly_active_min": "light activity|light physical activity|leichte aktivitat|activite legere|actividad ligera|"
    "attivita leggera|atividade leve|lichte activiteit|latt aktivitet",
    "moderately_active_min": "moderate activity|moderate physical activity|massige aktivitat|moderate aktivitat|"
    "activite moderee|actividad moderada|attivita moderata|atividade moderada|matige activiteit|mattlig aktivitet",
    "very_active_min": "vigorous activity|vigorous physical activity|intensive aktivitat|activite intense|"
    "activite vigoureuse|actividad vigorosa|actividad intensa|attivita intensa|attivita vigorosa|atividade vigorosa|"
    "atividade intensa|zware activiteit|intensieve activiteit",
    "active_min": "aktivitatsminuten|aktivminuten|aktive|actives|activos|attivi|ativos|actieve",
    "hr_mean": "mean heart rate|average heart rate|heart rate mean|mean pulse|mittlere herzfrequenz|"
    "durchschnittliche herzfrequenz|durchschnittspuls|frequence cardiaque moyenne|fc moyenne|"
    "frecuencia cardiaca media|fc media|frecuencia cardiaca promedio|frequenza cardiaca media|"
    "frequencia cardiaca media|gemiddelde hartslag|medelpuls|gjennomsnittspuls|平均心拍数|平均心率|평균심박수|"
    "평균 심박수|средний пульс|средняя чсс",
    "resting_hr": "resting heart rate|resting pulse|rhr|ruhepuls|puls in ruhe|ruheherzfrequenz|herzfrequenz in ruhe|"
    "frequence cardiaque au repos|frequence cardiaque de repos|fc au repos|fc de repos|pouls au repos|"
    "frecuencia cardiaca en reposo|fc en reposo|pulso en reposo|frequenza cardiaca a riposo|fc a riposo|"
    "frequencia cardiaca em repouso|frequencia cardiaca de repouso|fc em repouso|fc de repouso|rusthartslag|"
    "hartslag in rust|rustpols|vilopuls|hvilepuls|leposyke|tetno spoczynkowe|пульс в покое|чсс в покое|安静時心拍数|"
    "安静時脈拍|静息心率|靜息心率|안정시심박수|안정 시 심박수|안정시 심박수|dinlenme nabzı|klidová tepová frekvence|"
    "nyugalmi pulzus",
    "rmssd": "hrv rmssd|heart rate variability rmssd",
    "breathing_rate_brpm": "respiratory rate|respiration rate|breathing rate|atemfrequenz|frequence respiratoire|"
    "frecuencia respiratoria|frequenza respiratoria|frequencia respiratoria|ademhalingsfrequentie|andningsfrekvens",
    "spo2": "oxygen saturation|blood oxygen|sauerstoffsattigung|saturation en oxygene|saturacion de oxigeno|"
    "saturazione di ossigeno|saturazione ossigeno|saturacao de oxigenio|zuurstofsaturatie|syremattnad",
    "glucose_mean": "mean glucose|average glucose|mittlere glukose|mittlerer blutzucker|glycemie moyenne|"
    "glucose moyen|glucosa media|glucemia media|glucosa promedio|glicemia media|glucosio medio|glicose media|"
    "gemiddelde glucose|gemiddelde bloedsuiker|medelglukos|平均血糖|平均血糖値|평균혈당|평균 혈당|средняя глюкоза",
    "time_in_range_pct": "time in range|tir|zeit im zielbereich|temps dans la cible|tiempo en rango|tempo nel range|"
    "tempo no alvo|tijd binnen bereik",
    "screen_time_min": "screen time|screen|bildschirmzeit|ecran|pantalla|schermo|tela|schermtijd|skarmtid|skjermtid|"
    "skærmtid|ruutuaika|экранное время|スクリーンタイム|屏幕时间|屏幕時間|스크린타임|ekran süresi",
    "weight_kg": "body weight|weight|korpergewicht|gewicht|poids|poids corporel|peso|peso corporal|peso corporeo|"
    "lichaamsgewicht|vikt|kroppsvikt|vægt|vekt|paino|masa ciała|вес|масса тела|体重|體重|체중|몸무게|kilo|hmotnost|"
    "testsúly|βάρος",
    "waist_cm": "waist|waist circumference|abdominal circumference|taillenumfang|bauchumfang|tour de taille|"
    "circonference de la taille|circonference abdominale|perimetre abdominal|perimetro abdominal|perimetro de cintura|"
    "circunferencia de cintura|circunferencia de la cintura|circunferencia abdominal|circunferencia da cintura|"
    "circonferenza vita|circonferenza addominale|girovita|tailleomtrek|buikomvang|middelomtrek|midjematt|midjeomkrets|"
    "livvidde|vyotaronymparys|obwod talii|окружность талии|腹囲|腰围|腰圍|허리둘레|bel çevresi|obvod pasu|derékbőség",
    "cholesterol_mgdl": "total cholesterol|cholesterol total|gesamtcholesterin|cholesterol totale|colesterol total|"
    "colesterolo totale|totaal cholesterol|totalkolesterol|общий холестерин|総コレステロール|总胆固醇|總膽固醇|"
    "총콜레스테롤|총 콜레스테롤|toplam kolesterol",
    "alcohol_g": "alcohol intake|alcohol consumption|alkoholkonsum|consommation d alcool|consumo de alcohol|"
    "consumo di alcol|consumo de alcool",
    "caffeine_mg": "caffeine intake|cafeine|koffein|cafeina|caffeina",
}
