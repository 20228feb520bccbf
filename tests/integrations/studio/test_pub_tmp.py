import json, time, cProfile, pstats, sys, os
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.test import Client
from integrations import properties, holds
from integrations.models import Template, Integration, PropertyValues
from portal.models import Organization, Account
from tests.integrations.studio.conftest import PREVIEWED, signed_in
N=int(os.environ.get("N","2002"))
@pytest.mark.parametrize("how",["all","answer","some"])
def test_pub(acme, reseller, how):
    template=Template(account=acme.account); template.revise(json.dumps(PREVIEWED))
    orgs=[Organization(account=acme.account,name=f"Org {i:05}",domain=f"org{i}.example") for i in range(N)]
    Organization.objects.bulk_create(orgs)
    orgs=list(Organization.objects.filter(name__startswith="Org "))
    ints=Integration.objects.bulk_create([Integration(organization=o,template=template) for o in orgs])
    ints=list(Integration.objects.filter(template=template))
    rows=[]
    for i in ints:
        r=PropertyValues(integration=i,blank=False); properties.change(r,template.published.compiled,{"API key":f"key-{i.pk}-abcdef","Sender":"Me","Signing key":"abcdefgh"}); 
        r.secret_origins={"API key":{"https://api.acme.example":{}},"Signing key":{}}
        rows.append(r)
    PropertyValues.objects.bulk_create(rows)
    doc=json.loads(json.dumps(PREVIEWED)); doc["API"]["SendMessage"]["request_url"]="https://api2.acme.example/v2/sms"
    doc["Webhook"]["events"][0]["request_parameters"]["account"]="$Sender$"
    draft=template.save_draft(json.dumps(doc), reseller)
    c=signed_in(reseller); url=f"/admin/integrations/template/{template.pk}/studio/publish/"
    def run(name,f):
        t,w=time.process_time(),time.time()
        with CaptureQueriesContext(connection) as q:
            prof=cProfile.Profile() if os.environ.get("PROF") else None
            if prof: prof.enable()
            r=f()
            if prof: prof.disable()
        print(f"{how} {name} N={N} status={r.status_code} cpu={time.process_time()-t:.2f} wall={time.time()-w:.2f} queries={len(q)} load={os.getloadavg()[0]:.1f} bytes={len(r.content)}")
        if prof: pstats.Stats(prof).sort_stats("cumulative").print_stats(45)
        if os.environ.get("SQL"):
            from collections import Counter
            for s,n in Counter(x["sql"][:110] for x in q).most_common(25): print(n,s)
        return r
    p=run("GET",lambda: c.get(url))
    data={"revision":draft.number,"over":template.published.number,"for":"some" if how=="some" else "all"}
    if how!="all": data["answer"]=["API key https://api2.acme.example"]
    if how=="some": data["organization"]=[o.pk for o in orgs][:900]
    run("POST",lambda: c.post(url,data))
    template.refresh_from_db()
    print("held", Integration.objects.exclude(held_reason="").count(), template.published_id==draft.pk)
