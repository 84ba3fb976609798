"""The report's style sheet: quiet, legible at 200 %, light or dark as the reader's system is, black on white on paper.

Contrasts are WCAG 2.2 AA or better in both schemes.
"""

from __future__ import annotations

STYLE = """
:root{--ink:#17202b;--soft:#4b5766;--line:#d9dee5;--faint:#f5f7f9;--link:#0b4f8a;
--met:#17603a;--not-met:#9c1c14;--unknown:#7a4a00;--na:#4b5766;--candidate:#0b4f8a;--paper:#ffffff;--rule:#8b96a3;
color-scheme:light}
@media screen and (prefers-color-scheme:dark){
:root{--ink:#e6eaf0;--soft:#a9b4c2;--line:#39424e;--faint:#1d242d;--link:#8cc4ff;
--met:#7fd6a4;--not-met:#ff9d94;--unknown:#f2c069;--na:#a9b4c2;--candidate:#8cc4ff;--paper:#12171d;--rule:#6b7785;
color-scheme:dark}}
*{box-sizing:border-box}
html{scroll-padding-top:7rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:break-word}
header.top,main,footer.page{max-width:68rem;margin:0 auto;padding:0 1.5rem}
h1,h2,h3,h4,p,dl,dd,ol,ul,table{margin:0}
h1{font-size:1.85rem;line-height:1.2;font-weight:650;letter-spacing:-.015em;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.25;font-weight:650;letter-spacing:-.01em}
h3{font-size:1.02rem;font-weight:650;margin:2.25rem 0 .75rem}
a{color:var(--link);text-underline-offset:.15em}
a:hover{text-decoration-thickness:2px}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:2px}
code{font:.86em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:1rem;top:-4rem;background:var(--paper);padding:.5rem 1rem;z-index:9}
.skip:focus{top:1rem}
.eyebrow{font-size:.82rem;color:var(--soft);margin-bottom:.4rem}
header.top{padding-top:3rem;padding-bottom:2rem}
.meta{display:flex;flex-wrap:wrap;gap:.25rem 2.25rem;margin-top:1rem}
.meta>div,.evidence>div{min-width:0}
dt{font-size:.78rem;color:var(--soft)}
dd{font-size:.95rem;overflow-wrap:anywhere}
.tiles{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;padding:0;margin:1.75rem 0 0}
.tiles li{border:1px solid var(--line);border-radius:.5rem;padding:.7rem 1.1rem .75rem;min-width:9rem}
.tiles b{display:block;font-size:1.6rem;line-height:1.2;font-weight:600}
.shape{width:.86em;height:.86em;overflow:visible;flex:none;display:block}
.badge,.verdict{display:inline-flex;align-items:center;gap:.45em;font-weight:600;white-space:nowrap}
.badge{border:1.5px solid currentColor;border-radius:1rem;padding:.1rem .7rem;font-size:.88rem}
.verdict{font-size:.92rem}
.tiles .badge{border:0;padding:0}
.met,.eligible{color:var(--met)}.not-met,.ineligible{color:var(--not-met)}
.unknown,.potential-candidate{color:var(--unknown)}.not-applicable,.not-assessed{color:var(--na)}
.candidate{color:var(--candidate)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.94rem}
caption{text-align:left;font-weight:650;font-size:1.02rem;padding:0 0 .6rem}
th,td{text-align:left;vertical-align:baseline;padding:.6rem 1.2rem .6rem 0;border-bottom:1px solid var(--line)}
thead th{white-space:nowrap;font-size:.8rem;font-weight:500;color:var(--soft);border-bottom-color:var(--rule);
padding-top:.3rem;padding-bottom:.3rem}
tbody th{font-weight:600}
.scroll tbody th{white-space:nowrap}
.read th,.read td{overflow-wrap:anywhere}
.read th{width:15rem}
.number{text-align:right;padding-right:1.4rem}
tbody tr:hover{background:var(--faint)}
article{margin-top:4.5rem;padding-bottom:1rem}
.bar{position:sticky;top:0;background:var(--paper);z-index:2;display:flex;flex-wrap:wrap;align-items:center;gap:.35rem 1.1rem;
padding:.8rem 0 .7rem;border-bottom:2px solid var(--ink)}
.bar .tally{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;padding:0;margin-left:auto}
.bar .tally .verdict{font-weight:500;font-size:.88rem}
.bar a{font-size:.88rem}
.lead{font-size:1.12rem;line-height:1.45;margin:1.1rem 0 0;max-width:46rem}
.holds{color:var(--soft);margin-top:.3rem}
.todo{padding:0;list-style:none;counter-reset:item;border-top:1px solid var(--line)}
.todo li{counter-increment:item;display:grid;grid-template-columns:1.8rem 8.5rem minmax(0,1fr);gap:0 .5rem;padding:.55rem 0;
border-bottom:1px solid var(--line)}
.todo li::before{content:counter(item);color:var(--soft)}
.todo .kind{color:var(--soft);font-size:.92rem}
.more{margin-top:.5rem;color:var(--soft);font-size:.92rem}
.tree,.tree ul{list-style:none;padding:0}
.tree>li{border-top:1px solid var(--line)}
.tree>li:last-child{border-bottom:1px solid var(--line)}
.tree ul{margin-left:.45rem;padding-left:1.1rem;border-left:2px solid var(--line)}
.leaf,summary{padding:.75rem 0 .8rem}
.head{display:grid;grid-template-columns:8.9rem minmax(0,1fr);gap:0 .75rem;align-items:baseline}
.sentence{font-weight:600}
summary .sentence{font-weight:650}
.why{color:var(--soft);font-size:.92rem}
.why code{color:var(--ink);margin-right:.6em}
.registry{color:var(--soft);font-size:.92rem;font-style:italic}
summary{cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}
summary .fold::after{content:"";display:inline-block;width:.42em;height:.42em;border-right:2px solid var(--soft);
border-bottom:2px solid var(--soft);transform:rotate(-45deg);margin-left:.5em;vertical-align:.14em}
details[open]>summary .fold::after{transform:rotate(45deg)}
.body{margin-left:9.65rem}
.evidence{display:grid;grid-template-columns:minmax(0,1.15fr) repeat(3,minmax(0,1fr)) minmax(0,1.45fr);
gap:.3rem 1rem;margin-top:.55rem;
padding:.5rem .75rem;background:var(--faint);border-radius:.35rem}
.evidence dd{font-size:.92rem}
.evidence .received{grid-column:1}.evidence .compared{grid-column:2}.evidence .limit{grid-column:3}
.evidence .date{grid-column:4}.evidence .resource{grid-column:5}
.scroll td:last-child{min-width:15rem}
details>.body{margin-bottom:.75rem}
.evidence .wide{grid-column:1/-1;display:flex;gap:.75rem;align-items:baseline}
.whole{display:inline-block}
.evidence .version{color:inherit;text-decoration:inherit}
.evidence .age{color:var(--soft)}
.evidence .age,.evidence .version{font-size:.85rem;display:block}
.remarks{margin-top:.5rem;font-size:.92rem;display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.2rem .75rem;
padding:0 .75rem}
.remarks dt{font-size:.92rem}
.remarks dd{font-size:.92rem}
.remarks .settle{font-weight:600}
footer.page{margin-top:5rem;padding-top:1.5rem;padding-bottom:4rem;border-top:2px solid var(--ink);font-size:.9rem}
footer.page .claim{font-weight:650;font-size:1rem;margin-bottom:.75rem}
footer.page dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1.25rem}
@media (max-width:46rem){
.read th{width:40%}
.head,.todo li{grid-template-columns:minmax(0,1fr)}.todo li::before{display:none}.body{margin-left:0}
.evidence{grid-template-columns:repeat(2,minmax(0,1fr))}.evidence>div:not(.wide){grid-column:auto}.bar .tally{margin-left:0}
.bar{position:static}html{scroll-padding-top:1rem}}
@media screen and (max-width:46rem){
.index,.index caption,.index tbody,.index th,.index td{display:block}
.index thead{position:absolute;clip-path:inset(50%)}
.index tr{display:flex;flex-wrap:wrap;align-items:baseline;gap:.1rem 1.1rem;padding:.7rem 0 .8rem;
border-bottom:1px solid var(--line)}
.index th,.index td{border:0;padding:0;text-align:left}
.index .number,.index .first{font-size:.88rem}
.index tr::after{content:"";flex-basis:100%}
.index .number{order:1}.index .first{order:2;flex-basis:100%;min-width:0}
.index [data-name]::before{content:attr(data-name) " ";color:var(--soft)}}
@media (forced-colors:active){.badge{border-color:CanvasText}}
@media print{
@page{size:A4;margin:15mm 14mm 16mm}
html{font-size:8.5pt}
body{color:#000}
:root{--ink:#000;--soft:#333;--line:#999;--faint:#fff;--link:#000;--met:#000;--not-met:#000;--unknown:#000;--na:#000;
--candidate:#000}
header.top,main,footer.page{max-width:none;padding-left:0;padding-right:0}
header.top{padding-top:0}
.bar{position:static}
.skip,.back{display:none}
article{margin-top:0;break-before:page}
.leaf,.todo li,.evidence,tr{break-inside:avoid}
summary,h3,caption{break-after:avoid}
.evidence{border-left:1pt solid #999;border-radius:0;padding:.1rem .6rem;margin-top:.35rem}
.leaf,summary{padding:.4rem 0}
h3{margin-top:1.4rem}
summary .fold{display:none}
.body{margin-left:1.3rem}
.evidence,.remarks{line-height:1.35}
.evidence dd{font-size:.88rem}
details::details-content{content-visibility:visible;block-size:auto}
a{text-decoration:none}
thead{display:table-header-group}}
"""
