//! What vendors call their columns, in the languages they write. Compared as [`key`](super::columns::key) writes
//! them, so that accents, capitals, spaces and signs do not matter here.

use super::columns::Role;

/// The tier of volumes that are units only where a surer column turns out to be their worth.
pub(super) const ONLY_BESIDE_WORTH: u8 = 9;

/// The tier of columns that name tickers at some sources and something else at others.
pub(super) const UNSURE: u8 = 5;

/// Names by role; a lower tier is surer.
pub(super) const NAMES: &[(Role, u8, &str)] = &[
    (
        Role::Date,
        0,
        "datetime dateandtime datetimeutc opentime opentimestamp 일시 日時 candledatetimekst datetimekst \
     mtimestamp",
    ),
    (
        Role::Date,
        1,
        "date tradedate tradingdate tradingday pricedate asofdate asof sessiondate session businessdate \
         quotedate dates day datadate caldt begin localdate marketdate 날짜 일자 거래일 거래일자 기준일 기준일자 영업일 \
         영업일자 일 stckbsopdate basdd trddd 日付 日付け データ日付 年月日 日 取引日 交易日期 日期 交易日 交易时间 日期时间 data datum fecha dia \
         dato datapregao datapreg datadopregao fechahora dataora tarih дата tanggal ngay วันที่ dtyyyymmdd \
         paivamaara pvm seance jour handelstag sesion datanotowania snappedat tradedatekst timeperiodstart \
         periodstart bizdt traddt trddt basdt exchangedate date1 tarikh ημερομηνία दिनांक תאריך التاريخ \
         datumobchodu kuupäev dagsetning تاریخ تاریخمیلادی วันเดือนปี windowstart candletime rowdate tanggalperdaganganterakhir \
         chtimestamp dtyymmdd deven indexdate xymd",
    ),
    (
        Role::Date,
        2,
        "start beginsat timekey dt timestamp gmttime localtime timestampms timestamputc barstarttime starttime timestart startdate t \
         timeopen dateutc startat startedat",
    ),
    (Role::Date, 3, "unix unixtime unixtimestamp epoch epochtime unixtimestampms"),
    (
        Role::Time,
        0,
        "time 시간 시각 체결시간 時刻 時間 时间 hora uhrzeit zeit heure ora godzina время tradetime timeofday saat minute hour xhms \
         stckcntghour cntrtm",
    ),
    (
        Role::Open,
        0,
        "open opening openprice openingprice priceopen dayopen opn op sessionopen stckoprc tddopnprc pricefirst openindexvalue 시가 시작가 \
         시초가 始値 初値 开盘 开盘价 今开 今开盘 開盤 開盤價 開市 開市價 今開盤價 abertura apertura eroffnung eroffnungskurs eroeffnung \
         erster ouverture ouv otwarcie acilis открытие открцена preabe precoabertura ouvert opningskurs \
         apning abierto startkurs acilisfiyati giamocua mocua pembukaan เปิด ราคาเปิด aperturaprezzo avaus oppning \
         precioapertura precodeabertura openpric opnprc opnpric openprc prcod mkp eröffn oppen buka откр \
         відкриття mở άνοιγμα खुला פתיחה الافتتاح kursotwarcia nyitó otevírací otevření åbning åben \
         öppningspris deschidere kezdő firsttradeprice öffnung öppenkurs startpreis lastopen openp otvoritvenacena otvoritvena avamine opnun ценаоткрытия otvaracikurz שערפתיחה سعرالافتتاح \
         öffnen abrir aperto ouvrir prva отваряне 开盘点位 열기 \
         öppet apert otvaranja باز اولین",
    ),
    (Role::Open, 1, "o first firstprice"),
    (
        Role::High,
        0,
        "high highprice pricehigh dayhigh hi hight highest highestprice sessionhigh max maximum highs \
         stckhgpr tddhgprc pricemax highindexvalue 고가 최고가 高値 最高 最高价 最高價 高値円 maxima maximo massimo hoch hochst hoechst tageshoch \
         hochstkurs plushaut haut najwyzszy yuksek najwyzsza максимум макс maxprice premax precomaximo hog \
         hogst hoy hogsta maks maksimum hoogste hoog alto caonhat giacaonhat tertinggi สูงสุด ราคาสูงสุด ylin \
         precomax preciomaximo enyuksekfiyat enyuksek maxdia highpric hghpric hiprc hipr prchd askhi 高 korkein tinggi cao lastmax najvišjacena kõrgeim hæst максцена hautdujour שערגבוה أعلىسعر élevé najviša найвисока 最高点位 높음 maksymalny بیشترین \
         สูง υψηλό उच्च גבוה الأعلى kursmax nejvyšší høj høyest maxim höchster hochpreis",
    ),
    (Role::High, 1, "h"),
    (
        Role::Low,
        0,
        "low lowprice pricelow daylow lo lowest lowestprice sessionlow min minimum lows stcklwpr tddlwprc pricemin lowindexvalue 저가 \
         최저가 安値 最低 最低价 最低價 minima minimo tief tiefst tagestief tiefstkurs plusbas bas najnizszy dusuk \
         najnizsza минимум мин minprice premin precominimo lag lagst lav lagsta laagste laag bajo thapnhat \
         giathapnhat terendah ต่ำสุด ราคาต่ำสุด alin precomin preciominimo endusukfiyat endusuk mindia lowpric lwpric \
         loprc lopr prcld bidlo 低 matalin rendah мінімум thấp ต่ำ χαμηλό निम्न נמוך الأدنى kursmin nejnižší \
         minim tiefpreis lastmin najnižjacena madalaim lægst минцена basdujour שערנמוך أدنىسعر niedrig faible \
         basso baixo najniža найниска 最低点位 낮음 minimalny کمترین",
    ),
    (Role::Low, 1, "l"),
    (
        Role::Close,
        0,
        "close closing closeprice closingprice priceclose dayclose closelast sessionclose cls \
         closep ценазакрытия zaključnacena zaključnitečaj sulgemine lokaverð lokagengi κλείσιμο záverečnýkurz derniercours \
         settle settlement settleprice stckclpr tddclsprc closingindexvalue clos stckprpr pclosing 今收 今收盘 今收盤 종가 終値 收盘 收盘价 收盤 收盤價 收市 收市價 fechamento cierre \
         chiusura schluss schlusskurs cloture clot zamkniecie kapanis закрытие закрцена slutkurs slut \
         sluttkurs slutning slot slotkoers dongcua giadongcua penutupan ปิด ราคาปิด paatos precoultimo preult \
         precofechamento preciocierre precodefechamento endkurs clspric clsprc clpr prccd kurszamknięcia záró \
         závěr zavírací luk lukning slutt закриття legalclose închidere harga \
         closeclosepriceadjustedforsplits שערנעילה الإغلاق الاغلاق سعرالإغلاق schließen cerrar chiudi \
         fermer затваряне 收盘点位 닫기 stängning بسته बंद",
    ),
    (
        Role::Close,
        1,
        "pdrcotval lastclose price last lastprice lasttradedprice ltp tradeprice 현재가 체결가 가격 지수 現在値 最新价 最新 成交价 ultimo ultima \
         letzter zuletzt kurs dernier cours prix ostatni simdi цена preco precio prezzo senaste sista siste c \
         koers lancuoi terakhir ล่าสุด valor cotacao kapanisfiyati curprc latest latestprice lastpric prc \
         laatste ostatnio seneste viimeisin ราคา ราคาล่าสุด τιμή मूल्य שער السعر آخر ultimul zadnja senast آخرین",
    ),
    (
        Role::Volume,
        0,
        "volume vol volumes totalvolume tradevolume tradedvolume tradingvolume totaltradedvolume volumetraded \
         sharevolume numberofshares sharestraded noofshares totaltradequantity totaltradedquantity \
         tottrdqty ttltrdqnty ttltradgvol quantity qty tradedquantity dayvolume volumeshares acmlvol \
         acctrdvol 거래량 누적거래량 出来高 売買高 出來高 成交量 总手 成交股數 成交数量 成交股数 成交數量 volum volym wolumen hacim объем \
         объемторгов stuck stueck stuckzahl gehandeltestuck quantidade qtdnegociada quatot \
         quantidadenegociada titres aantal khoiluong klgd giaodichkhoplenh volumeaandelen ปริมาณ titoli \
         vaihto volumn volumeunits trdeqty acctradevolume trqu cshtrd dnshrtrd 交易量 成交仟股 成交千股 \
         成交張數 成交张数 成交手數 hac wol määrä kl klượng ปริมาณการซื้อขาย όγκος वॉल्यूम נפח حجم الحجم forgalom objem \
         обсяг totalquantity noofcontracts contracts stuecke stücke salgsvolumen omsattantall turnoverpieces accumulatedtradingvolume nmvolume الكميةالمتداولة količina обем cantidad cantidadnegociada unidades nombredetitreséchangés quantiténégociée количество volumi volumetotale wolumenobrotu obim umsatzstück tradedshares \
         tradedcontracts jdiffvol khốilượngkhớplệnh khớplệnhkl volumennominal cantnominal حجممعاملات الكمية \
         gesamtvolumen kogus magn gesamtumsatzinstk toplamislemadedi toplamislemmiktari tvol evol cntgvol qtottran5j khoiluonggiaodichkhoplenh totalmatchvol",
    ),
    (
        Role::Volume,
        1,
        "v tickvolume tickvol tickqty volumefrom basevolume volumebase basetokenvolume realvolume volumebtc candleacctradevolume vo umsatz \
         volumen handelsvolumen מחזור",
    ),
    // Traded ones, unless a volume stands beside: then those that there are.
    (Role::Volume, 2, "shares"),
    // Units at some, money at most: only where the column called volume is money (HTX).
    (Role::Volume, ONLY_BESIDE_WORTH, "amount"),
    (
        Role::Ticker,
        0,
        "合约 合约代码 ticker symbol tickersymbol stocksymbol stock tic code stockcode instrument ric tsymbol actsymbol \
         secid tradingsymbol scrip localcode codneg pair 종목코드 단축코드 종목 코드 티커 證券代號 股票代號 股票代码 证券代码 代码 tscode \
         銘柄コード コード 証券コード symbole simbolo codigo tckr tckrsymb isusrtcd srtncd isucd stkcd stkcode fininstrmnm \
         permno especie ativo papel sembol hisse hissekodu islemkodu instrumentseriescode 證券代碼 orderbookid sharecode",
    ),
    (
        Role::Ticker,
        1,
        "name 종목명 itmsnm 銘柄名 銘柄 名称 股票名称 stockname company security securityname isin nazwa isunm conm indexname companyname",
    ),
    // Kinds, numbers or counts at some: only where they tell rows of one date apart.
    (
        Role::Ticker,
        UNSURE,
        "coin asset contract instrumento instrumentid securityid cusip sedol figi wkn gvkey stockid symbolid assetid productid \
         sid fund",
    ),
    (Role::AdjOpen, 0, "adjopen adjustedopen openadj openadjusted 수정시가 adjustmentopen adjo adopen"),
    (Role::AdjHigh, 0, "adjhigh adjustedhigh highadj highadjusted 수정고가 adjustmenthigh adjh adhigh"),
    (Role::AdjLow, 0, "adjlow adjustedlow lowadj lowadjusted 수정저가 adjustmentlow adjl adlow"),
    (
        Role::AdjClose,
        0,
        "adjclose adjustedclose closeadj closeadjusted adjcloseprice adjustedcloseprice adjustedclosingprice \
         adjclosingprice adjprice 수정종가 수정주가 調整後終値 調整済終値 修正終値 复权收盘价 后复权价 調整後收盤價 fechamentoajustado \
         cierreajustado chiusuraaggiustata adjustmentclose adjc adjusted 終値調整値 調整終値 修正後終値 \
         adjcloseadjustedclosepriceadjustedforsplitsanddividendandorcapitalgaindistributions giáđiềuchỉnh \
         adclose שערנעילהמתואם bereinigterschluss coursdeclôtureajusté cierreaj 經調整收市價 調整後收盤",
    ),
    (Role::AdjVolume, 0, "adjvolume adjustedvolume volumeadj adjustmentvolume adjvo"),
];

/// Names that look like a role's and are none; they must not be taken apart either.
pub(super) const OTHERS: &str = "prevclose previousclose prevcloseprice prevclsprice prvsclsgpric preclose yclose openinterest \
    openint openinterestqty oi closetime closetimestamp endtime highlimit lowlimit quotevolume \
    quoteassetvolume volumequote volumeto takerbuyvolume takerbuyquotevolume takerbuybasevolume \
    takerbuybaseassetvolume takerbuyquoteassetvolume dollarvolume volumeusd valuetraded 52wh 52wl \
    52weekhigh 52weeklow high52 low52 yearhigh yearlow w52h w52l highlow openclose closebid closeask \
    전일종가 前日終値 前收 前收盘 前收盘价 昨收 昨收盘 시가총액 거래대금 대비 등락률 상장주식수 series tradecount numtrades timeclose timehigh \
    timelow timestampend windowend closeunadj closeunadjusted unadjustedclose unadjustedvolume rawclose \
    bidvolume askvolume volumema avgprice copdelivqty";

/// Words of other spans of time than a bar's: `CH_52WEEK_HIGH_PRICE` is no high of the ticker `CH_52WEEK`.
pub(super) const OTHER_SPANS: &str = "52 52w 52wk 52week week year month prev previous prior";

/// Words that say nothing of a column's role beside a name that does: `Trade Open`, `PX_LAST`.
pub(super) const QUALIFIERS: &str = "trade px day daily price stock share market session official regular \
    mid preis prezzo precio preco prix pret cena kurs ar koers cours gia ราคา τιμη قیمت";

/// Currencies say nothing of a price (`close_usd`), but make a volume an amount of money.
pub(super) const CURRENCIES: &str = "usd eur krw jpy gbp gbx cny inr brl hkd twd aud cad chf sek nok dkk pln rub zar mxn idr thb vnd usdt usdc try tl \
    huf czk ils sar aed egp php myr sgd nzd pkr currency";
