"""Reference numbers of the tests in src/evaluate/metrics: pip install numpy scipy dieboldmariano, then run."""
import numpy as np
from scipy import stats
a = np.array([0.012,-0.008,0.003,0.021,-0.015,0.007,-0.002,0.009,-0.011,0.004,0.016,-0.006])
f = np.array([0.004,-0.002,0.001,0.006,-0.003,-0.001,0.002,0.005,-0.004,0.003,0.002,0.001])
e = a-f
hist = np.array([0.01,-0.02,0.015,-0.005,0.008,-0.012])
print("rmse",repr(np.sqrt(np.mean(e**2))),"mae",repr(np.mean(abs(e))))
print("mase",repr(np.mean(abs(e))/np.mean(abs(hist))),"rmsse",repr(np.sqrt(np.mean(e**2)/np.mean(hist**2))))
print("u2",repr(np.sqrt(np.mean(e**2)/np.mean(a**2))))
from dieboldmariano import dm_test
for h in (1,3):
    # one-sided: the first is better
    s,p = dm_test(list(a), list(f), list(np.zeros(12)), loss=lambda u,v:(u-v)**2, h=h, one_sided=True, harvey_correction=True)
    print("dm",h,repr(float(s)),repr(float(p)))
# PT
def pt(a,f):
    n=len(a); y=a>0; x=f>0; P=np.mean(y==x); py=y.mean(); px=x.mean()
    Ps=py*px+(1-py)*(1-px); v=Ps*(1-Ps)/n
    w=(2*py-1)**2*px*(1-px)/n+(2*px-1)**2*py*(1-py)/n+4*py*px*(1-py)*(1-px)/n**2
    s=(P-Ps)/np.sqrt(v-w); return s, stats.norm.sf(s)
print("pt",*map(lambda v:repr(float(v)),pt(a,f)), "hits", np.mean((a>0)==(f>0)))
q = {.1:-0.01,.5:0.001,.9:0.013}
print("pinball", [repr(float(np.mean(np.maximum(p*(a-v),(p-1)*(a-v))))) for p,v in q.items()])
def crps_norm(y,mu,s):
    z=(y-mu)/s; return s*(z*(2*stats.norm.cdf(z)-1)+2*stats.norm.pdf(z)-1/np.sqrt(np.pi))
print("crps", repr(float(crps_norm(0.02,0.001,0.012))))
l,u,alpha=-0.01,0.013,0.2
w=(u-l)+2/alpha*np.maximum(l-a,0)+2/alpha*np.maximum(a-u,0)
print("winkler",repr(float(w.mean())),"coverage",np.mean((a>=l)&(a<=u)))
s2=np.array([1e-4,2e-4,1.5e-4,1e-4,2.5e-4,1e-4,8e-5,9e-5,1e-4,1.1e-4,2e-4,1e-4])
print("qlike",repr(float(np.mean(np.log(s2)+a**2/s2))))
