/** How the HTML around the scene looks; colours come as variables of the theme. */
export const STYLE = `
.os{position:relative;width:100%;height:100%;min-height:220px;overflow:hidden;border-radius:6px;background:var(--bg);
 border:1px solid var(--border);box-sizing:border-box;color:var(--text2);
 font:13px/1.4 "Source Sans","Source Sans 3","Source Sans Pro",system-ui,sans-serif;user-select:none;-webkit-user-select:none}
.os *{box-sizing:border-box}
.os canvas{position:absolute;inset:0;width:100%;height:100%;display:block}
.os .scene{outline:none;cursor:grab;-webkit-touch-callout:none}
.os .scene.over{cursor:pointer}
.os .scene.keys:focus~.frame{border-color:var(--focus);border-style:solid}
.os .frame,.os .shade,.os .labels{position:absolute;inset:0;pointer-events:none}
.os .frame{border:2px solid transparent;border-radius:5px}
.os.past .frame{border:3px dashed var(--text3)}
.os.dark .shade{background:radial-gradient(ellipse at 50% 55%,rgba(150,175,205,.07),transparent 45%,rgba(0,0,0,.28) 100%)}
.os.light .shade{background:radial-gradient(ellipse at 50% 55%,transparent 55%,rgba(30,45,65,.045) 100%)}
.os button{font:inherit;color:var(--text2);background:var(--raised);border:1px solid var(--border);border-radius:6px;
 padding:4px 10px;cursor:pointer}
.os button:hover:not(:disabled){color:var(--text);border-color:var(--text3)}
.os button:focus-visible,.os summary:focus-visible,.os .list:focus-visible{outline:2px solid var(--focus);outline-offset:1px}
.os button:disabled{color:var(--text3);cursor:not-allowed}
.os .legend{position:absolute;left:10px;bottom:9px;font-size:12px;max-width:calc(100% - 20px);border-radius:6px;
 background:color-mix(in srgb,var(--bg) 72%,transparent)}
.os .legend summary{cursor:pointer;color:var(--text3);padding:3px 8px}
.os .rows{display:flex;gap:2px 16px;align-items:center;padding:3px 6px;color:var(--text3);white-space:nowrap}
.os .rows>div{display:flex;align-items:center;gap:6px}
.os .rows i{width:18px;height:3px;border-radius:2px;flex:none}
.os .rows i.dot{width:13px;height:13px;border-radius:50%}
.os .rows i.bar{width:132px;height:9px}
.os .rows b{font-weight:600;color:var(--text2)}
.os .legend:not(.narrow) summary{display:none}
.os .narrow{background:var(--raised);border:1px solid var(--border);border-radius:6px}
.os .narrow .rows{flex-direction:column;align-items:start;padding:0 10px 7px}
.os .narrow .rows i.bar{width:96px}
.os .note{position:absolute;right:12px;bottom:32px;font-size:12px;color:var(--text3);pointer-events:none;text-align:right;
 border-radius:6px;background:color-mix(in srgb,var(--bg) 72%,transparent)}
.os .note div{white-space:nowrap}
.os .corner{position:absolute;left:10px;top:10px;display:grid;gap:6px;justify-items:start;max-width:calc(100% - 110px);
 pointer-events:none}
.os .corner>*{pointer-events:auto;background:var(--raised);border:1px solid var(--border);border-radius:6px;padding:3px 10px}
.os .corner .then{border:1px dashed var(--text3);color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}
.os .ack{display:flex;gap:8px;align-items:center;flex-wrap:wrap}
.os .ack b{color:var(--text);font-weight:600}
.os .ack small{color:var(--text3);font-size:12px}
.os .tools{position:absolute;right:10px;top:10px;display:grid;justify-items:end;gap:6px;z-index:4}
.os .tools>button{min-width:34px;min-height:30px}
.os .menu{display:grid;gap:4px;padding:6px;background:var(--raised);border:1px solid var(--border);border-radius:6px;
 box-shadow:0 4px 14px rgba(0,0,0,.22)}
.os .menu button{border-color:transparent;text-align:left;white-space:nowrap;min-height:30px}
.os .menu .sizes{display:flex;gap:2px;align-items:center;padding-left:10px}
.os .panel{position:absolute;z-index:5;background:var(--raised);border:1px solid var(--border);border-radius:6px;
 padding:10px 14px;box-shadow:0 4px 14px rgba(0,0,0,.22)}
.os .help{left:50%;top:50%;transform:translate(-50%,-50%);max-width:calc(100% - 24px);max-height:calc(100% - 24px);overflow:auto}
.os .help h2{margin:0 0 6px;font-size:14px;font-weight:600;color:var(--text);padding:0}
.os .help dl{display:grid;grid-template-columns:auto 1fr;gap:3px 16px;margin:0 0 8px}
.os .help dt{color:var(--text);font-weight:600;white-space:nowrap}
.os .help dd{margin:0}
.os .list{position:absolute;z-index:4;right:10px;top:48px;bottom:44px;width:min(320px,calc(100% - 20px));overflow:auto;
 background:var(--raised);border:1px solid var(--border);border-radius:6px;padding:4px}
.os .list:not(.open):not(:focus){clip-path:inset(50%);width:1px;height:1px;top:0;bottom:auto;padding:0;border:0}
.os .list div{padding:3px 8px;border-radius:4px;cursor:pointer;overflow-wrap:anywhere}
.os .list [aria-selected=true]{background:var(--bg);color:var(--text);box-shadow:inset 3px 0 var(--text3)}
.os .tip{position:absolute;z-index:2;padding:6px 10px;border-radius:6px;border:1px solid var(--border);background:var(--raised);
 pointer-events:none;white-space:nowrap;box-shadow:0 4px 14px rgba(0,0,0,.22)}
.os .tip b{display:block;color:var(--text);font-weight:600}
.os .tip>span{display:block}
.os .tip .ends{display:grid;grid-template-columns:auto auto auto auto;gap:4px 14px;margin-top:5px;padding-top:5px;
 border-top:1px solid var(--border);font-variant-numeric:tabular-nums}
.os .tip .ends>:not(:nth-child(4n+1)){text-align:right}
.os .tip .ends i{font-style:normal;color:var(--text3)}
.os .tip .ends>span:not(:nth-child(4n+1)){color:var(--text)}
.os .tip .ends small{display:block;font-size:11px;line-height:1.3;color:var(--text3)}
.os .toast{position:absolute;left:50%;top:14px;transform:translateX(-50%);padding:6px 14px;border-radius:99px;z-index:6;
 background:var(--raised);border:1px solid var(--border);color:var(--text);pointer-events:none;max-width:90%}
.os .message{position:absolute;inset:0;display:grid;place-items:center;padding:24px;text-align:center}
.os .waiting{position:absolute;inset:0;display:grid;place-items:center;background:var(--bg,#12161b);z-index:3;color:var(--text3,#94a0ad)}
.os .waiting i{position:absolute;width:min(44%,240px);aspect-ratio:1;border-radius:50%;border:2px dashed currentColor;opacity:.35}
@media (prefers-reduced-motion:no-preference){.os .waiting i{animation:os-wait 1.6s ease-in-out infinite alternate}}
@keyframes os-wait{to{opacity:.08}}
.os .voice{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.os [hidden]{display:none!important}
@media (max-width:480px){.os .corner{font-size:12px}}
`;
